//! What people and rooms are called: common Norwegian and European names. Any likeness is chance.

use std::collections::BTreeMap;

use crate::sim::rng::Rng;

const GIVEN: [&str; 56] = [
    "Kari",
    "Ola",
    "Ingrid",
    "Lars",
    "Astrid",
    "Henrik",
    "Solveig",
    "Magnus",
    "Silje",
    "Øyvind",
    "Marit",
    "Torbjørn",
    "Hanne",
    "Eirik",
    "Ragnhild",
    "Sindre",
    "Tuva",
    "Håkon",
    "Nora",
    "Anders",
    "Liv",
    "Jonas",
    "Åse",
    "Sverre",
    "Emma",
    "Matteo",
    "Chiara",
    "Pierre",
    "Camille",
    "Jürgen",
    "Sabine",
    "Katarzyna",
    "Piotr",
    "Sofia",
    "Mikael",
    "Anneli",
    "Freja",
    "Søren",
    "Aoife",
    "Declan",
    "Inés",
    "Javier",
    "Zsófia",
    "Milan",
    "Jelena",
    "Andrei",
    "Elena",
    "Nikos",
    "Maarten",
    "Femke",
    "João",
    "Beatriz",
    "Selma",
    "Amina",
    "Yusuf",
    "Leïla",
];

const SURNAMES: [&str; 56] = [
    "Hansen",
    "Johansen",
    "Olsen",
    "Larsen",
    "Andersen",
    "Nilsen",
    "Kristiansen",
    "Jensen",
    "Karlsen",
    "Johnsen",
    "Pettersen",
    "Eriksen",
    "Berg",
    "Haugen",
    "Hagen",
    "Moen",
    "Lien",
    "Solberg",
    "Bakken",
    "Strand",
    "Sæther",
    "Dahl",
    "Fossum",
    "Nygård",
    "Rønning",
    "Aas",
    "Tangen",
    "Bjørklund",
    "Rossi",
    "Moreau",
    "Lefèvre",
    "Schneider",
    "Vogel",
    "Kowalska",
    "Nowak",
    "Lindqvist",
    "Virtanen",
    "Korhonen",
    "Nielsen",
    "Møller",
    "O'Brien",
    "Byrne",
    "García",
    "Fernández",
    "Szabó",
    "Horvat",
    "Petrović",
    "Ionescu",
    "Papadakis",
    "de Vries",
    "Jansen",
    "Silva",
    "Costa",
    "Kaya",
    "Haddad",
    "Björk",
];

const ROOMS: [&str; 20] = [
    "Galdhøpiggen",
    "Glittertind",
    "Snøhetta",
    "Rondeslottet",
    "Gaustatoppen",
    "Stetind",
    "Preikestolen",
    "Jotunheimen",
    "Hardanger",
    "Lofoten",
    "Geiranger",
    "Femunden",
    "Mjøsa",
    "Nordkapp",
    "Trollveggen",
    "Besseggen",
    "Dovre",
    "Finse",
    "Svalbard",
    "Romsdal",
];

const SHARED: [&str; 20] = [
    "Post",
    "Faktura",
    "Support",
    "Salg",
    "HR",
    "Presse",
    "Innkjøp",
    "Resepsjon",
    "Bestilling",
    "Karriere",
    "Juridisk",
    "Marked",
    "Lager",
    "Reiser",
    "Vaktsentral",
    "Kurs",
    "Styret",
    "Prosjekt",
    "Kvalitet",
    "Drift",
];

/// Hands out names, each mail name once.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeMap<String, u32>,
}

/// A person's name in its parts.
#[derive(Debug)]
pub(super) struct PersonName {
    pub given: &'static str,
    pub surname: &'static str,
    /// `kari.nordmann`, with a number from the second bearer on.
    pub mail_name: String,
}

impl Names {
    pub fn person(&mut self, rng: &mut Rng) -> PersonName {
        let given = rng.pick(&GIVEN).copied().unwrap_or("Kari");
        let surname = rng.pick(&SURNAMES).copied().unwrap_or("Hansen");
        let mail_name = self.once(format!("{}.{}", ascii(given), ascii(surname)));
        PersonName { given, surname, mail_name }
    }

    /// `(display name, mail name)` of a shared mailbox.
    pub fn shared(&mut self, rng: &mut Rng) -> (String, String) {
        let name = rng.pick(&SHARED).copied().unwrap_or("Post");
        let mail_name = self.once(ascii(name));
        (format!("{name} ({mail_name})"), mail_name)
    }

    /// `(display name, mail name)` of a meeting room.
    pub fn room(&mut self, rng: &mut Rng) -> (String, String) {
        let name = rng.pick(&ROOMS).copied().unwrap_or("Finse");
        let mail_name = self.once(format!("room.{}", ascii(name)));
        (format!("Møterom {name}"), mail_name)
    }

    fn once(&mut self, name: String) -> String {
        let bearers = self.taken.entry(name.clone()).or_default();
        *bearers += 1;
        if *bearers == 1 { name } else { format!("{name}{bearers}") }
    }
}

/// Lower case, without accents, blanks or apostrophes, as mail addresses are made.
fn ascii(name: &str) -> String {
    let letter = |letter: char| match letter {
        'ø' | 'Ø' | 'ó' | 'ö' => "o".to_owned(),
        'å' | 'Å' | 'á' | 'ã' => "a".to_owned(),
        'æ' => "ae".to_owned(),
        'é' | 'è' | 'ë' => "e".to_owned(),
        'í' | 'ï' => "i".to_owned(),
        'ü' => "u".to_owned(),
        'ć' => "c".to_owned(),
        ' ' | '\'' => String::new(),
        other => other.to_lowercase().to_string(),
    };
    name.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mail_name_is_plain_and_handed_out_once() {
        let mut names = Names::default();
        let mut rng = Rng::stream(1, "names");
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            let name = names.person(&mut rng).mail_name;
            assert!(
                name.chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '.'),
                "{name}"
            );
            assert!(seen.insert(name));
        }
    }
}
