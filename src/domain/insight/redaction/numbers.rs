//! What makes a row of digits a card number (ISO/IEC 7812) and a row of letters and digits an IBAN (ISO 13616).

/// Fewest digits of a card number.
pub(super) const CARD_MIN: usize = 13;
/// Most digits of a card number.
pub(super) const CARD_MAX: usize = 19;

/// Whether the check digit of a card number is right (Luhn).
pub(super) fn luhn(digits: &str) -> bool {
    let mut sum = 0u32;
    for (n, digit) in digits.bytes().rev().enumerate() {
        let value = u32::from(digit.wrapping_sub(b'0'));
        if value > 9 {
            return false;
        }
        sum += match (n % 2 == 1, value * 2) {
            (false, _) => value,
            (true, doubled) if doubled > 9 => doubled - 9,
            (true, doubled) => doubled,
        };
    }
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// Whether these digits are a card number: a length and a beginning that a card scheme has given out, and the check digit.
pub fn is_card_number(digits: &str) -> bool {
    let length = digits.len();
    (CARD_MIN..=CARD_MAX).contains(&length) && luhn(digits) && scheme_fits(digits, length)
}

/// Beginnings of two and four digits with the lengths that go with them.
fn scheme_fits(digits: &str, length: usize) -> bool {
    let number = |n: usize| digits.get(..n).and_then(|head| head.parse::<u16>().ok()).unwrap_or(0);
    let (two, three, four) = (number(2), number(3), number(4));
    match two {
        // UATP.
        10..=19 => length == 15,
        // Mir, Mastercard's second range.
        20..=29 => (2200..=2204).contains(&four) || (length == 16 && (2221..=2720).contains(&four)),
        // American Express.
        34 | 37 => length == 15,
        // JCB, Diners Club.
        35 => length >= 16 && (3528..=3589).contains(&four),
        30 => (300..=305).contains(&three) || three == 309,
        36 | 38 | 39 => length >= 14,
        // Visa, and debit schemes that share its digit.
        40..=49 => matches!(length, 13 | 16 | 18 | 19),
        // Mastercard, Maestro.
        51..=55 => length == 16,
        50 | 56..=59 => true,
        // Discover, UnionPay, Maestro, RuPay.
        60..=69 => true,
        // RuPay, Troy.
        81 | 82 => length == 16,
        97 => length == 16 && four == 9792,
        _ => false,
    }
}

/// Longest IBAN, characters.
pub(super) const IBAN_MAX: usize = 34;

/// Countries and the length of their IBANs.
const IBANS: [(&str, u8); 88] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// Length of the IBAN that begins with this country code in capitals; `None` where there are none.
pub(super) fn iban_length(country: &str) -> Option<usize> {
    let known = |(code, length): &(&str, u8)| (*code == country).then_some(usize::from(*length));
    IBANS.iter().find_map(known)
}

/// Whether capitals and digits are an IBAN: country, length, and 1 modulo 97 (ISO 7064).
pub fn is_iban(text: &str) -> bool {
    let Some((head, rest)) = text.split_at_checked(4) else { return false };
    if iban_length(&head[..2]) != Some(text.len()) || !head[2..].bytes().all(|c| c.is_ascii_digit()) {
        return false;
    }
    let mut remainder = 0u32;
    for c in rest.chars().chain(head.chars()) {
        let Some(value) = c.to_digit(36) else { return false };
        remainder = (remainder * if value > 9 { 100 } else { 10 } + value) % 97;
    }
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_numbers_of_the_schemes_are_card_numbers() {
        let numbers = [
            "4111111111111111",
            "4012888888881881",
            "4222222222222",
            "5555555555554444",
            "5105105105105100",
            "2223003122003222",
            "378282246310005",
            "371449635398431",
            "30569309025904",
            "38520000023237",
            "6011111111111117",
            "6011000990139424",
            "3530111333300000",
            "3566002020360505",
            "6200000000000005",
            "6304000000000000",
            "6759649826438453",
            "5018000000000009",
        ];
        for number in numbers {
            assert!(is_card_number(number), "{number}");
        }
    }

    #[test]
    fn a_wrong_digit_a_telephone_number_and_an_order_number_are_none() {
        for number in ["4111111111111112", "4930123456789", "0049301234567", "48215", "", "1234567890123456", "411111111111111"] {
            assert!(!is_card_number(number), "{number}");
        }
    }

    #[test]
    fn ibans_are_told_by_country_length_and_remainder() {
        for iban in
            ["GB29NWBK60161331926819", "DE89370400440532013000", "FR1420041010050500013M02606", "NL91ABNA0417164300", "NO9386011117947"]
        {
            assert!(is_iban(iban), "{iban}");
        }
        for other in ["GB28NWBK60161331926819", "DE8937040044053201300", "XX89370400440532013000", "", "DE", "GBX9NWBK60161331926819"] {
            assert!(!is_iban(other), "{other}");
        }
    }
}
