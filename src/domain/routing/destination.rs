//! Where a dialled number may go: emergency first, then the longest route, then what the phone's group allows.
//!
//! Deny by default: without a group a phone calls nobody outside, without a route a number leads nowhere, and other countries and
//! expensive numbers need their prefix in the group. Emergency numbers pass all of it.

use std::sync::Arc;

use phonenumber::{Type, metadata::DATABASE};

use crate::ids::PhoneNumber;

/// Shortest number in E.164 that is a subscriber's and not a mistyped extension, digits.
const SHORTEST_NUMBER: usize = 7;
/// Longest text that is looked at as a number, characters.
const LONGEST_DIALLED: usize = 64;

/// Emergency numbers as they are dialled; cheap to clone, so that what sheds load can hold it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmergencyNumbers(Arc<[String]>);

impl EmergencyNumbers {
    /// These numbers.
    pub fn new(numbers: impl IntoIterator<Item = String>) -> Self {
        Self(numbers.into_iter().collect())
    }

    /// Whether this, as dialled, is one of them. Separators that people write are overlooked.
    pub fn contains(&self, dialled: &str) -> bool {
        let mut digits = dialled.chars().filter(|c| !is_separator(*c));
        self.0.iter().any(|number| digits.clone().eq(number.chars())) && digits.next().is_some()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// What a country dials, ISO 3166 alpha-2; 112 where the table has no row.
    pub fn of_country(country: &str) -> Self {
        let numbers: &[&str] = match country {
            "GB" | "IE" => &["112", "999"],
            "US" | "CA" | "MX" => &["911"],
            "AU" => &["000", "112"],
            "NZ" => &["111"],
            "DE" => &["110", "112"],
            "FR" => &["112", "15", "17", "18"],
            "AT" => &["112", "122", "133", "144"],
            "CH" => &["112", "117", "118", "144"],
            "IT" => &["112", "113", "115", "118"],
            "JP" => &["110", "119"],
            "CN" => &["110", "119", "120"],
            "BR" => &["190", "192", "193"],
            "ZA" => &["112", "10111", "10177"],
            _ => &["112"],
        };
        Self::new(numbers.iter().map(|number| (*number).to_owned()))
    }
}

/// A prefix and the trunks that take it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Beginning of the number in E.164 (`+44`, or `+` for every number), or digits as dialled for short numbers (`101`).
    pub prefix: String,
    /// Places in the list of trunks; the next one is tried where one fails.
    pub trunks: Vec<usize>,
    /// Characters that are taken off the front of the number, the `+` counted.
    pub strip: usize,
    /// What is put in front after that.
    pub add: String,
}

impl Route {
    fn write(&self, number: &str) -> String {
        let rest: String = number.chars().skip(self.strip).collect();
        format!("{}{rest}", self.add)
    }
}

/// Phones with the same right to call out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallingGroup {
    /// Its name.
    pub name: String,
    /// Extensions; `*` is every phone that no other group names.
    pub phones: Vec<String>,
    /// Prefixes of other countries that may be called; `+` is all of them.
    pub international: Vec<String>,
    /// Prefixes of expensive numbers (premium, shared cost, personal) that may be called.
    pub premium: Vec<String>,
    /// Calls at once of one phone.
    pub max_calls: usize,
    /// Calls begun within an hour by one phone.
    pub max_calls_per_hour: usize,
    /// Refused calls within an hour after which the phone may not call out for an hour.
    pub max_refused_per_hour: usize,
}

/// Where a number goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Help: nothing stands in its way.
    Emergency {
        /// As dialled, without separators.
        number: String,
        /// As it is written for the trunk.
        written: String,
        /// Trunks, in order.
        trunks: Vec<usize>,
    },
    /// A subscriber.
    Number {
        /// In E.164; `None` for a short number.
        number: Option<PhoneNumber>,
        /// As it is written for the trunk.
        written: String,
        /// Trunks, in order.
        trunks: Vec<usize>,
    },
}

impl Destination {
    /// Its trunks, in order.
    pub fn trunks(&self) -> &[usize] {
        match self {
            Self::Emergency { trunks, .. } | Self::Number { trunks, .. } => trunks,
        }
    }

    /// The number as it is written for the trunk.
    pub fn written(&self) -> &str {
        match self {
            Self::Emergency { written, .. } | Self::Number { written, .. } => written,
        }
    }

    /// The number as the record keeps it: E.164, or as dialled.
    pub fn recorded(&self) -> &str {
        match self {
            Self::Emergency { number, .. } => number,
            Self::Number { number: Some(number), .. } => number.as_str(),
            Self::Number { number: None, written, .. } => written,
        }
    }

    /// The number in E.164.
    pub fn number(&self) -> Option<&PhoneNumber> {
        match self {
            Self::Emergency { .. } => None,
            Self::Number { number, .. } => number.as_ref(),
        }
    }

    /// Whether it is help that is called.
    pub fn is_emergency(&self) -> bool {
        matches!(self, Self::Emergency { .. })
    }
}

/// Why a number goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denied {
    /// No group names the phone.
    #[error("this phone may not call outside")]
    NoRight,
    /// No route takes it, or it is no number.
    #[error("no route leads there")]
    NoRoute,
    /// Another country, and the group does not name it.
    #[error("calls to that country are not allowed")]
    International,
    /// An expensive number, and the group does not name it.
    #[error("calls to that kind of number are not allowed")]
    Premium,
}

/// The whole policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    /// ISO 3166 alpha-2: home of numbers that are dialled without a country code.
    pub country: String,
    /// Numbers that pass everything.
    pub emergency: EmergencyNumbers,
    /// Where they go.
    pub emergency_route: Option<Route>,
    /// Where the others go.
    pub routes: Vec<Route>,
    /// Who may call out.
    pub groups: Vec<CallingGroup>,
}

impl Destinations {
    /// The group of a phone: the one that names it, else the one for all others.
    pub fn group_of(&self, extension: &str) -> Option<&CallingGroup> {
        let named = |name: &str| self.groups.iter().find(|group| group.phones.iter().any(|phone| phone == name));
        named(extension).or_else(|| named("*"))
    }

    /// Decides where a phone's call goes.
    ///
    /// # Errors
    /// Why it goes nowhere.
    pub fn decide(&self, extension: &str, dialled: &str) -> Result<Destination, Denied> {
        if dialled.chars().count() > LONGEST_DIALLED {
            return Err(Denied::NoRoute);
        }
        let digits: String = dialled.chars().filter(|c| !is_separator(*c)).collect();
        if self.emergency.contains(&digits) {
            let route = self.emergency_route.as_ref().ok_or(Denied::NoRoute)?;
            return Ok(Destination::Emergency { written: route.write(&digits), number: digits, trunks: route.trunks.clone() });
        }
        if self.routes.is_empty() {
            return Err(Denied::NoRoute);
        }
        let group = self.group_of(extension).ok_or(Denied::NoRight)?;
        let short = self.longest(&digits).filter(|route| !route.prefix.starts_with('+'));
        if let Some(route) = short {
            return Ok(Destination::Number { number: None, written: route.write(&digits), trunks: route.trunks.clone() });
        }
        let number = PhoneNumber::parse_in(&digits, &self.country).map_err(|_| Denied::NoRoute)?;
        if number.as_str().len() <= SHORTEST_NUMBER {
            return Err(Denied::NoRoute);
        }
        let allowed = |prefixes: &[String]| prefixes.iter().any(|prefix| number.as_str().starts_with(prefix.as_str()));
        let kind = Kind::of(&number, &self.country);
        if kind.abroad && !allowed(&group.international) {
            return Err(Denied::International);
        }
        if kind.expensive && !allowed(&group.premium) {
            return Err(Denied::Premium);
        }
        let route = self.longest(number.as_str()).ok_or(Denied::NoRoute)?;
        Ok(Destination::Number { written: route.write(number.as_str()), number: Some(number), trunks: route.trunks.clone() })
    }

    fn longest(&self, number: &str) -> Option<&Route> {
        self.routes.iter().filter(|route| number.starts_with(&route.prefix)).max_by_key(|route| route.prefix.len())
    }
}

/// What the numbering plan says of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    abroad: bool,
    expensive: bool,
}

impl Kind {
    /// A number of no country (satellites, international services) is abroad: those are what thieves call.
    fn of(number: &PhoneNumber, home: &str) -> Self {
        let Ok(parsed) = phonenumber::parse(None, number.as_str()) else { return Self { abroad: true, expensive: true } };
        let home = home.parse::<phonenumber::country::Id>().ok();
        let country = parsed.country();
        let same_code = home.is_some_and(|home| DATABASE.by_id(home.as_ref()).is_some_and(|meta| meta.country_code() == country.code()));
        // Where several countries share a code, a number whose country the plan does not tell is at home only if the code is not shared.
        let at_home = match country.id() {
            Some(id) => Some(id) == home,
            None => same_code && DATABASE.region(&country.code()).is_some_and(|regions| regions.len() == 1),
        };
        let expensive = matches!(parsed.number_type(&DATABASE), Type::PremiumRate | Type::SharedCost | Type::PersonalNumber);
        Self { abroad: !at_home, expensive }
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(prefix: &str, trunks: &[usize]) -> Route {
        Route { prefix: prefix.to_owned(), trunks: trunks.to_vec(), strip: 0, add: String::new() }
    }

    fn group(phones: &[&str], international: &[&str], premium: &[&str]) -> CallingGroup {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        CallingGroup {
            name: "group".to_owned(),
            phones: owned(phones),
            international: owned(international),
            premium: owned(premium),
            max_calls: 2,
            max_calls_per_hour: 60,
            max_refused_per_hour: 10,
        }
    }

    fn destinations() -> Destinations {
        Destinations {
            country: "GB".to_owned(),
            emergency: EmergencyNumbers::of_country("GB"),
            emergency_route: Some(Route { add: "9".to_owned(), ..route("", &[1]) }),
            routes: vec![route("+", &[0]), route("+442", &[1, 0]), route("101", &[1])],
            groups: vec![group(&["200"], &["+49", "+1"], &["+44909"]), group(&["*"], &[], &[])],
        }
    }

    fn trunks(extension: &str, dialled: &str) -> Result<Vec<usize>, Denied> {
        destinations().decide(extension, dialled).map(|to| to.trunks().to_vec())
    }

    #[test]
    fn the_longest_prefix_decides_and_numbers_are_read_at_home() {
        assert_eq!(trunks("201", "020 7946 0018"), Ok(vec![1, 0]));
        assert_eq!(trunks("201", "0161 496 0000"), Ok(vec![0]));
        assert_eq!(trunks("201", "101"), Ok(vec![1]), "a short number");
        assert_eq!(destinations().decide("201", "020 7946 0018").map(|to| to.recorded().to_owned()), Ok("+442079460018".to_owned()));
    }

    #[test]
    fn other_countries_and_expensive_numbers_are_denied_until_their_prefix_is_allowed() {
        assert_eq!(trunks("201", "0049 30 901820"), Err(Denied::International));
        assert_eq!(trunks("200", "0049 30 901820"), Ok(vec![0]));
        assert_eq!(trunks("200", "+33 1 40 20 50 50"), Err(Denied::International));
        assert_eq!(trunks("201", "+1 876 555 0123"), Err(Denied::International), "Jamaica shares the code of the USA");
        assert_eq!(trunks("201", "+881 612345678"), Err(Denied::International), "a satellite");
        assert_eq!(trunks("201", "0909 879 0000"), Err(Denied::Premium));
        assert_eq!(trunks("200", "0909 879 0000"), Ok(vec![0]));
        assert_eq!(trunks("201", "070 0912 3456"), Err(Denied::Premium), "a personal number");
    }

    #[test]
    fn a_phone_without_a_group_and_a_number_without_a_route_go_nowhere() {
        let mut only = destinations();
        only.groups.truncate(1);
        assert_eq!(only.decide("201", "020 7946 0018"), Err(Denied::NoRight));
        only.routes.remove(0);
        assert_eq!(only.decide("200", "0161 496 0000"), Err(Denied::NoRoute));
        for nonsense in ["", "+", "1234", "anonymous", "+000", &"1".repeat(100)] {
            assert_eq!(trunks("200", nonsense), Err(Denied::NoRoute), "{nonsense}");
        }
    }

    #[test]
    fn an_emergency_number_needs_no_group_and_is_written_as_its_route_says() {
        let mut none = destinations();
        none.groups.clear();
        none.routes.clear();
        let help = none.decide("201", "9-9-9").expect("help");
        assert!(help.is_emergency());
        assert_eq!((help.written(), help.recorded(), help.trunks()), ("9999", "999", &[1][..]));
        assert!(!none.emergency.contains("") && !none.emergency.contains("9990") && none.emergency.contains("112"));
    }

    #[test]
    fn a_route_strips_and_adds() {
        let route = Route { strip: 3, add: "0".to_owned(), ..route("+44", &[0]) };
        assert_eq!(route.write("+442079460018"), "02079460018");
        assert_eq!(Route { strip: 99, ..route }.write("+44"), "0");
    }

    proptest! {
        #[test]
        fn without_a_group_only_emergency_numbers_go_anywhere(dialled in "[+0-9 #*a-z().-]{0,24}") {
            let mut none = destinations();
            none.groups.clear();
            match none.decide("200", &dialled) {
                Ok(to) => prop_assert!(to.is_emergency()),
                Err(denied) => prop_assert!(matches!(denied, Denied::NoRight | Denied::NoRoute)),
            }
        }

        #[test]
        fn whatever_is_dialled_goes_abroad_only_where_its_prefix_is_allowed(dialled in "(\\+|00)?[0-9]{1,16}") {
            if let Ok(Destination::Number { number: Some(number), .. }) = destinations().decide("201", &dialled) {
                prop_assert!(number.as_str().starts_with("+44"), "{}", number.as_str());
            }
        }
    }
}
