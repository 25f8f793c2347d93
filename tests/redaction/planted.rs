//! Fifty numbers in ten calls: cards of all schemes, security codes, IBANs, numbers of a pattern, each said in its own way.

/// One line of a call: who says it ("C" or "A"), and what.
pub type Line = (&'static str, String);

/// A number and how it is said.
pub struct Planted {
    /// Capitals and digits; `None` for codes of three or four digits, which stand in many places by chance.
    pub number: Option<String>,
    /// What is said, exactly: of a code in figures the word itself.
    pub phrases: Vec<String>,
    /// The lines of the call that lead to it and say it.
    pub lines: Vec<Line>,
}

/// A sequence that is the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn digits(&mut self, n: usize) -> String {
        (0..n).map(|_| char::from_digit(u32::try_from(self.below(10)).expect("a digit"), 10).expect("a digit")).collect()
    }
}

/// Beginning and length of the card numbers of each scheme.
const CARDS: [(&str, usize); 13] = [
    ("4", 16),
    ("51", 16),
    ("55", 16),
    ("2223", 16),
    ("34", 15),
    ("37", 15),
    ("36", 14),
    ("6011", 16),
    ("3530", 16),
    ("62", 17),
    ("6304", 18),
    ("4", 19),
    ("50", 13),
];

fn card(dice: &mut Dice, (head, length): (&str, usize)) -> String {
    let body = format!("{head}{}", dice.digits(length - head.len() - 1));
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(n, digit)| {
            let value = u32::from(digit - b'0') * if n % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn iban(dice: &mut Dice, country: &str, bank: &str, digits: usize) -> String {
    let body = format!("{bank}{}", dice.digits(digits));
    let remainder = format!("{body}{country}00").chars().fold(0, |r, c| {
        let value = c.to_digit(36).expect("a letter or digit");
        (r * if value > 9 { 100 } else { 10 } + value) % 97
    });
    format!("{country}{:02}{body}", 98 - remainder)
}

const UNITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEENS: [&str; 10] = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const NATO: [&str; 26] = [
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima", "mike", "november",
    "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "x-ray", "yankee", "zulu",
];

fn value(c: char) -> usize {
    usize::try_from(c.to_digit(36).expect("a letter or digit")).expect("small")
}

/// Digit by digit; letters one by one.
pub fn words(number: &str) -> String {
    let word = |c: char| if c.is_ascii_digit() { UNITS[value(c)].to_owned() } else { c.to_string() };
    number.chars().map(word).collect::<Vec<_>>().join(" ")
}

/// With "oh", "double" and "triple".
fn doubled(number: &str) -> String {
    let chars: Vec<char> = number.chars().collect();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let run = chars[at..].iter().take_while(|c| **c == chars[at]).count().min(3);
        let word = if chars[at] == '0' { "oh" } else { UNITS[value(chars[at])] };
        out.extend(match run {
            2 => vec!["double", word],
            3 => vec!["triple", word],
            _ => vec![word],
        });
        at += run;
    }
    out.join(" ")
}

/// Two digits at a time: "forty-one eleven", "oh three".
fn pairs(number: &str) -> String {
    let chars: Vec<char> = number.chars().collect();
    let pair = |pair: &[char]| match pair {
        ['0', b] => format!("oh {}", UNITS[value(*b)]),
        ['1', b] => TEENS[value(*b)].to_owned(),
        [a, '0'] => TENS[value(*a) - 2].to_owned(),
        [a, b] => format!("{}-{}", TENS[value(*a) - 2], UNITS[value(*b)]),
        rest => rest.iter().map(|c| UNITS[value(*c)]).collect(),
    };
    chars.chunks(2).map(pair).collect::<Vec<_>>().join(" ")
}

fn grouped(number: &str, by: usize, with: &str) -> String {
    number.as_bytes().chunks(by).map(|part| String::from_utf8_lossy(part).into_owned()).collect::<Vec<_>>().join(with)
}

fn spelled(number: &str) -> String {
    let word = |c: char| if c.is_ascii_digit() { UNITS[value(c)].to_owned() } else { NATO[value(c) - 10].to_owned() };
    number.chars().map(word).collect::<Vec<_>>().join(" ")
}

fn line(who: &'static str, text: impl Into<String>) -> Line {
    (who, text.into())
}

const ASKED: [&str; 5] = [
    "Can I take the long number across the front of the card please",
    "And your card number please",
    "Could you read me the sixteen digits on your card",
    "What is the number on the credit card",
    "I need your card details to take the payment",
];

fn planted_card(dice: &mut Dice, n: usize) -> Planted {
    let number = card(dice, CARDS[n % CARDS.len()]);
    let ask = line("A", ASKED[n % ASKED.len()]);
    let (styles, middle) = (10, number.len() / 2);
    let said: Vec<String> = match n % styles {
        0 => vec![format!("It is {}", grouped(&number, 4, " "))],
        1 => vec![grouped(&number, 1, " ")],
        2 => vec![format!("Sure {} okay", words(&number))],
        3 => vec![doubled(&number)],
        4 => vec![format!("Yes {}", pairs(&number))],
        5 => vec![grouped(&number, 4, "-") + "."],
        6 => vec![number.clone()],
        7 => vec![format!("um {}", words(&number[..4])), format!("then {} uh", words(&number[4..middle])), words(&number[middle..])],
        8 => vec![format!("{} let me see {}", words(&number[..middle]), words(&number[middle..]))],
        _ => vec![format!("I will read it {} that is it", grouped(&number, 5, ", "))],
    };
    let unasked = n % 13 == 2;
    let mut lines = if unasked { vec![line("A", "Go ahead whenever you are ready")] } else { vec![ask] };
    for (at, part) in said.iter().enumerate() {
        if at > 0 {
            lines.push(line("A", "okay"));
        }
        lines.push(line("C", part.clone()));
    }
    if n.is_multiple_of(4) {
        lines.push(line("A", format!("Thank you so that ends in {}", words(&number[number.len() - 4..]))));
    }
    Planted { number: Some(number), phrases: said.into_iter().filter(|part| part.len() > 20).collect(), lines }
}

fn planted_code(dice: &mut Dice, n: usize) -> Planted {
    let code = dice.digits(if n % 3 == 2 { 4 } else { 3 });
    let questions = [
        "And the security code",
        "The three digits on the back please",
        "What is the CVV",
        "And the last three numbers on the back of the card",
        "And the C V V",
        "Which code is on the signature strip",
        "And the card verification value",
        "Tell me the four digits of your PIN",
    ];
    let said = match n % 4 {
        0 => words(&code),
        1 => code.clone(),
        2 => format!("{}.", grouped(&code, 1, " ")),
        _ => doubled(&code),
    };
    let lines = vec![line("A", questions[n % questions.len()]), line("C", format!("It says {said}"))];
    Planted { number: None, phrases: vec![format!("says {}", said.trim_end_matches('.'))], lines }
}

fn planted_iban(dice: &mut Dice, n: usize) -> Planted {
    let countries = [("GB", "NWBK", 14), ("DE", "", 18), ("FR", "", 23), ("NL", "ABNA", 10), ("IE", "AIBK", 14), ("ES", "", 20)];
    let (country, bank, digits) = countries[n % countries.len()];
    let number = iban(dice, country, bank, digits);
    let said = match n % 4 {
        0 => grouped(&number, 4, " "),
        1 => words(&number),
        2 => number.clone(),
        _ => spelled(&number),
    };
    let question = if n.is_multiple_of(2) { "Which account should the money go to" } else { "What is your IBAN" };
    let lines = vec![line("A", question), line("C", format!("That is {said} please"))];
    Planted { number: Some(number), phrases: vec![said], lines }
}

fn planted_pattern(dice: &mut Dice, n: usize) -> Planted {
    let number = format!("PX{}", dice.digits(6));
    let said = match n % 4 {
        0 => number.clone(),
        1 => format!("P X {}", words(&number[2..])),
        2 => format!("P X {}", pairs(&number[2..])),
        _ => format!("papa x-ray {}", grouped(&number[2..], 3, " ")),
    };
    let lines = vec![line("C", format!("The policy is {said} as I said"))];
    Planted { number: Some(number), phrases: vec![said], lines }
}

/// Fifty of them.
pub fn fifty(seed: u64) -> Vec<Planted> {
    let mut dice = Dice(seed);
    let mut all: Vec<Planted> = (0..26).map(|n| planted_card(&mut dice, n)).collect();
    all.extend((0..8).map(|n| planted_code(&mut dice, n)));
    all.extend((0..8).map(|n| planted_iban(&mut dice, n)));
    all.extend((0..8).map(|n| planted_pattern(&mut dice, n)));
    all
}
