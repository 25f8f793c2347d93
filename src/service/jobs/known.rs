//! What the record knows of somebody before their call is read: open tickets, what they wrote lately, and the numbers in both.

use super::Jobs;
use crate::{
    ids::CustomerId,
    service::store::{StoreError, Written},
    time::UnixMs,
};

/// Most subjects of tickets that a reason is compared with.
const TICKETS_MAX: usize = 50;
/// What somebody wrote longer ago is hardly why they call.
const WRITTEN_WITHIN_MS: i64 = 30 * 24 * 3_600_000;
/// Most messages that are looked at.
const WRITTEN_MAX: u32 = 5;
/// Most lines of a message: after these come details.
const LINES_MAX: usize = 3;
/// Longest of them, characters: a longer one resembles nothing.
const LINE_MAX: usize = 200;
/// Shortest run of digits in a subject that is a reference.
const REFERENCE_MIN: usize = 4;

/// What open tickets and last messages of a customer who calls at `at` are about, and the numbers in that.
pub(super) async fn of(jobs: &Jobs, customer: Option<CustomerId>, at: UnixMs) -> Result<(Vec<String>, Vec<String>), StoreError> {
    let Some(customer) = customer else { return Ok((Vec::new(), Vec::new())) };
    let mut subjects = match jobs.store.customer_page(customer).await {
        Ok(page) => page.tickets.into_iter().map(|t| t.subject).take(TICKETS_MAX).collect(),
        Err(StoreError::NotFound(_)) => Vec::new(),
        Err(e) => return Err(e),
    };
    let written = jobs.store.written_lately(customer, at.plus_ms(-WRITTEN_WITHIN_MS), at, WRITTEN_MAX).await?;
    subjects.extend(written.iter().flat_map(lines));
    let references = subjects.iter().flat_map(|s| references(s)).collect();
    Ok((subjects, references))
}

/// Subject and first lines of a message, each by itself; what it quotes of an earlier one is left out.
fn lines(message: &Written) -> Vec<String> {
    let own = message.body.lines().map(str::trim).take_while(|line| !line.starts_with("-----")).filter(|line| !line.starts_with('>'));
    let first = own.filter(|line| !line.is_empty()).take(LINES_MAX).map(|line| line.chars().take(LINE_MAX).collect());
    message.subject.clone().into_iter().chain(first).collect()
}

/// Order and contract numbers in a subject.
fn references(subject: &str) -> Vec<String> {
    let digits = |word: &str| word.chars().filter(char::is_ascii_digit).count();
    let words = subject.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|w| digits(w) >= REFERENCE_MIN).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_message_count_its_subject_and_its_own_first_lines() {
        let body = "Hello,\n\nmy modem is dead.\n> We will send one.\nPlease call me.\n-----Original message-----\nOld words\n";
        let written = Written { subject: Some("Modem 77120".into()), body: body.into() };
        assert_eq!(lines(&written), ["Modem 77120", "Hello,", "my modem is dead.", "Please call me."]);
        let long = Written { subject: None, body: "x".repeat(1_000) };
        assert_eq!(lines(&long), ["x".repeat(LINE_MAX)]);
        assert_eq!(references("Modem 77120, ref NW-4711 of 2 May"), ["77120", "NW-4711"]);
    }
}
