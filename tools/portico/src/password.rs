//! `portico password`: makes the hash that stands in a document's `[user.NAME]`.

use std::io::{self, IsTerminal};

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};

/// Octets of a password at least: what is shorter is guessed.
const SHORTEST: usize = 8;

/// Asks for a password, twice on a terminal and once from a pipe, and gives the line for the
/// document.
///
/// # Errors
/// A sentence.
pub fn line() -> Result<String, String> {
    let password = if io::stdin().is_terminal() {
        let ask = |prompt| rpassword::prompt_password(prompt).map_err(|error| error.to_string());
        let password = ask("Password: ")?;
        if ask("Again: ")? != password {
            return Err("the two are not the same, nothing was made".into());
        }
        password
    } else {
        let mut password = String::new();
        io::stdin().read_line(&mut password).map_err(|error| error.to_string())?;
        password.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.len() < SHORTEST {
        return Err(format!("a password has at least {SHORTEST} octets, nothing was made"));
    }
    hash(&password).map(|hash| format!("password = \"{hash}\""))
}

/// The hash with a salt of its own, at the cost that OWASP's password storage guide names first for
/// Argon2id: 19 MiB, two passes.
fn hash(password: &str) -> Result<String, String> {
    let judge = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
    let hash = judge.hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{PasswordHash, PasswordVerifier};
    use model::config::Config;

    #[test]
    fn a_hash_opens_for_its_password_only_and_is_legal_in_a_document() {
        let (text, again) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert_ne!(text, again, "every hash has a salt of its own");
        let parsed = PasswordHash::new(&text).unwrap();
        let opens = |password: &str| {
            Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
        };
        assert!(opens("correct horse") && !opens("correct hors"));
        let document = format!(
            "[cluster]\nname = \"x\"\n[user.ann]\npassword = \"{text}\"\nrole = \"view\"\n"
        );
        assert!(Config::parse(&document).is_ok_and(|config| config.users.list.len() == 1));
    }
}
