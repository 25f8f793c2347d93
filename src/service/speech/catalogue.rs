//! The official models: names, sizes and hashes as their publisher's repository states them.
//!
//! SHA-256 of the files at revision 5359861c of `ggerganov/whisper.cpp` on Hugging Face (their LFS object ids).

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::model::{self, Model};

/// A model that can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Official {
    /// As `throughline model fetch` takes it; the file is `ggml-NAME.bin`.
    pub name: &'static str,
    /// Size of the file.
    pub octets: u64,
    /// Of the whole file, in lower-case hexadecimal.
    pub sha256: &'static str,
}

impl Official {
    /// Name of the file.
    pub fn file(&self) -> String {
        format!("ggml-{}.bin", self.name)
    }

    /// Finds one by its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        OFFICIAL.iter().find(|m| m.name == name)
    }
}

const fn official(name: &'static str, octets: u64, sha256: &'static str) -> Official {
    Official { name, octets, sha256 }
}

/// From small to large; `.en` knows English only, `-q…` is packed: smaller, about as good.
pub const OFFICIAL: [Official; 20] = [
    official("tiny-q5_1", 32_152_673, "818710568da3ca15689e31a743197b520007872ff9576237bda97bd1b469c3d7"),
    official("tiny.en-q5_1", 32_166_155, "c77c5766f1cef09b6b7d47f21b546cbddd4157886b3b5d6d4f709e91e66c7c2b"),
    official("base-q5_1", 59_707_625, "422f1ae452ade6f30a004d7e5c6a43195e4433bc370bf23fac9cc591f01a8898"),
    official("base.en-q5_1", 59_721_011, "4baf70dd0d7c4247ba2b81fafd9c01005ac77c2f9ef064e00dcf195d0e2fdd2f"),
    official("tiny", 77_691_713, "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21"),
    official("tiny.en", 77_704_715, "921e4cf8686fdd993dcd081a5da5b6c365bfde1162e72b08d75ac75289920b1f"),
    official("base", 147_951_465, "60ed5bc3dd14eea856493d334349b405782ddcaf0028d4b5df4088345fba2efe"),
    official("base.en", 147_964_211, "a03779c86df3323075f5e796cb2ce5029f00ec8869eee3fdfb897afe36c6d002"),
    official("small-q5_1", 190_085_487, "ae85e4a935d7a567bd102fe55afc16bb595bdb618e11b2fc7591bc08120411bb"),
    official("small.en-q5_1", 190_098_681, "bfdff4894dcb76bbf647d56263ea2a96645423f1669176f4844a1bf8e478ad30"),
    official("small.en-q8_0", 264_477_561, "67a179f608ea6114bd3fdb9060e762b588a3fb3bd00c4387971be4d177958067"),
    official("small", 487_601_967, "1be3a9b2063867b937e64e2ec7483364a79917e157fa98c5d94b5c1fffea987b"),
    official("small.en", 487_614_201, "c6138d6d58ecc8322097e0f987c32f1be8bb0a18532a3f88f734d1bbf9c41e5d"),
    official("medium-q5_0", 539_212_467, "19fea4b380c3a618ec4723c3eef2eb785ffba0d0538cf43f8f235e7b3b34220f"),
    official("large-v3-turbo-q5_0", 574_041_195, "394221709cd5ad1f40c46e6031ca61bce88931e6e088c188294c6d5a55ffa7e2"),
    official("large-v3-turbo-q8_0", 874_188_075, "317eb69c11673c9de1e1f0d459b253999804ec71ac4c23c17ecf5fbe24e259a1"),
    official("medium", 1_533_763_059, "6c14d5adee5f86394037b4e4e8b59f1673b6cee10e3cf0b11bbdbee79c156208"),
    official("medium.en", 1_533_774_781, "cc37e93478338ec7700281a7ac30a10128929eb8f427dda2e865faa8f6da4356"),
    official("large-v3-turbo", 1_624_555_275, "1fc70f774d38eb169993ac391eea357ef47c88757ef72ee5943879b7e8e2bc69"),
    official("large-v3", 3_095_033_483, "64d182b440b98d5203c4f9bd541544d84c605196c4f7b845dfa11fb23594d1e2"),
];

/// The carried model's hash, as `models/README.md` states it.
const DEMO_SHA256: &str = "bb398a3ec031277685b9e666e7a12500de2edb33b202959515e0f7903266b54b";

/// What a look at a model file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what it says.
    Good,
    /// It is not; the hash found.
    Wrong(String),
    /// Nobody stated a hash for it; the hash found.
    Unknown(String),
}

/// Reads a model file whole and compares it with what its publisher states.
pub fn verify(path: &Path) -> io::Result<Verdict> {
    let found = sha256(&mut File::open(path)?)?;
    let file = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let stated = match OFFICIAL.iter().find(|m| m.file() == file) {
        Some(official) => Some(official.sha256),
        None => (file == model::DEMO_MODEL).then_some(DEMO_SHA256),
    };
    Ok(match stated {
        Some(stated) if stated == found => Verdict::Good,
        Some(_) => Verdict::Wrong(found),
        None => Verdict::Unknown(found),
    })
}

/// SHA-256 of everything that is left to read.
pub fn sha256(from: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(from, &mut hash)?;
    Ok(hash.finalize().iter().map(|octet| format!("{octet:02x}")).collect())
}

/// The folder that models are fetched into: the nearest that is there, else one in the working directory.
pub fn folder() -> PathBuf {
    model::folders().into_iter().find(|f| f.is_dir()).unwrap_or_else(|| PathBuf::from("models"))
}

/// The table of `throughline model list`: what can be fetched, what is here, what is used.
pub fn list(used: &[(&str, Option<&Path>)]) -> String {
    let installed = Model::installed();
    let uses = |path: &Path| -> String {
        let same = |configured: Option<&Path>| Model::find(configured).is_ok_and(|m| m.path == path);
        used.iter().filter(|(_, configured)| same(*configured)).map(|(what, _)| format!(" · used {what}")).collect()
    };
    let mut text = format!("{:<22} {:>10}  state\n", "name", "MB");
    let mut line = |name: &str, octets: u64, state: &str| {
        text.push_str(&format!("{name:<22} {:>10.1}  {state}\n", octets as f64 / 1e6));
    };
    for official in &OFFICIAL {
        let here = installed.iter().find(|m| m.path.file_name().is_some_and(|n| *n == *official.file()));
        let state = here.map_or_else(String::new, |m| format!("installed: {}{}", m.path.display(), uses(&m.path)));
        line(official.name, official.octets, &state);
    }
    for model in &installed {
        let file = model.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if !OFFICIAL.iter().any(|m| m.file() == file) {
            let octets = model.path.metadata().map_or(0, |m| m.len());
            let name = file.trim_start_matches("ggml-").trim_end_matches(".bin");
            line(name, octets, &format!("installed: {}{}", model.path.display(), uses(&model.path)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_carried_model_is_what_it_says_and_a_changed_one_is_not() {
        let model = Model::find(None).expect("carried");
        assert_eq!(verify(&model.path).expect("readable"), Verdict::Good);
        let folder = tempfile::TempDir::new().expect("a folder");
        let changed = folder.path().join(model::DEMO_MODEL);
        std::fs::write(&changed, b"something else").expect("writes");
        assert!(matches!(verify(&changed).expect("readable"), Verdict::Wrong(_)));
        let own = folder.path().join("ggml-own.bin");
        std::fs::write(&own, b"abc").expect("writes");
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(verify(&own).expect("readable"), Verdict::Unknown(of_abc.into()));
    }

    #[test]
    fn the_list_says_what_is_here_and_what_is_used() {
        let text = list(&[("live", None), ("after the call", Some(Path::new("/nowhere.bin")))]);
        let demo = text.lines().find(|l| l.starts_with("demo-phone.en-q8_0")).expect("carried");
        assert!(demo.contains("installed") && demo.ends_with("used live"), "{text}");
        assert!(text.lines().any(|l| l.starts_with("base.en ")), "{text}");
    }

    #[test]
    fn each_official_model_is_there_once_with_a_hash() {
        for (at, model) in OFFICIAL.iter().enumerate() {
            assert!(model.sha256.len() == 64 && model.sha256.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
            assert!(OFFICIAL[at + 1..].iter().all(|m| m.name != model.name && m.sha256 != model.sha256 && m.octets >= model.octets));
        }
        assert_eq!(Official::named("base.en").map(Official::file).as_deref(), Some("ggml-base.en.bin"));
    }
}
