//! Desk passwords: argon2id as PHC strings. Each call takes tens of milliseconds: run it where blocking is allowed.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use super::StoreError;

/// A PHC string for a new password.
pub fn hash(password: &str) -> Result<String, StoreError> {
    match Argon2::default().hash_password(password.as_bytes()) {
        Ok(hash) => Ok(hash.to_string()),
        Err(_) => Err(StoreError::Invalid("the password cannot be hashed; choose one of 8 to 128 characters")),
    }
}

/// Whether the password belongs to the PHC string. Without a string it takes as long, and is false.
pub fn verify(stored: Option<&str>, password: &str) -> bool {
    // A hash that nobody's password has: an unknown user costs the same time as a wrong password.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$1111111111111111111111111111111111111111111";
    let Ok(parsed) = PasswordHash::new(stored.unwrap_or(NOBODY)) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && stored.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_of_a_known_user_opens() {
        let stored = hash("correct horse").expect("hash");
        assert!(verify(Some(&stored), "correct horse"));
        assert!(!verify(Some(&stored), "Correct horse"));
        assert!(!verify(None, "correct horse"));
        assert!(!verify(Some("not a hash"), "correct horse"));
    }
}
