//! Random names that people can say: an adjective and the surname of someone who did something notable.

use crate::id::random_below;

const ADJECTIVES: &str = "\
admiring adoring affectionate agitated amazing angry awesome beautiful blissful bold boring brave busy charming clever \
compassionate competent condescending confident cool cranky crazy dazzling determined distracted dreamy eager ecstatic \
elastic elated elegant eloquent epic exciting fervent festive flamboyant focused friendly frosty funny gallant gifted \
goofy gracious great happy hardcore heuristic hopeful hungry infallible inspiring intelligent interesting jolly jovial \
keen kind laughing loving lucid magical modest musing mystifying naughty nervous nice nifty nostalgic objective \
optimistic peaceful pedantic pensive practical priceless quirky quizzical recursing relaxed reverent romantic sad serene \
sharp silly sleepy stoic strange stupefied suspicious sweet tender thirsty trusting unruffled upbeat vibrant vigilant \
vigorous wizardly wonderful xenodochial youthful zealous zen";

const SURNAMES: &str = "\
agnesi albattani allen almeida archimedes ardinghelli aryabhata austin babbage banach banzai bardeen bartik bassi beaver \
bell benz bhabha bhaskara black blackburn blackwell bohr booth borg bose bouman boyd brahmagupta brattain brown buck \
burnell cannon carson cartwright carver cerf chandrasekhar chaplygin chatelet chatterjee chaum chebyshev clarke cohen \
colden cori cray curie curran darwin davinci dewdney dhawan diffie dijkstra dirac driscoll dubinsky easley edison \
einstein elbakyan elgamal elion ellis engelbart euclid euler faraday feistel fermat fermi feynman franklin gagarin \
galileo galois ganguly gates gauss germain goldberg goldstine goldwasser golick goodall gould greider grothendieck \
haibt hamilton haslett hawking heisenberg hellman hermann herschel hertz heyrovsky hodgkin hofstadter hoover hopper \
hugle hypatia ishizaka jackson jang jemison jennings jepsen johnson joliot jones kalam kapitsa kare keldysh keller \
kepler khayyam khorana kilby kirch knuth kowalevski lalande lamarr lamport leakey leavitt lederberg lehmann lewin \
lichterman liskov lovelace lumiere mahavira margulis matsumoto maxwell mayer mccarthy mcclintock mclaren mclean \
mcnulty meitner mendel mendeleev meninsky merkle mestorf mirzakhani montalcini moore morse moser murdock napier nash \
neumann newton nightingale nobel noether northcutt noyce panini pare pascal pasteur payne perlman pike poincare \
poitras proskuriakova ptolemy raman ramanujan rhodes ride riemann ritchie robinson roentgen rosalind rubin saha \
sammet sanderson satoshi shamir shannon shaw shirley shockley shtern sinoussi snyder solomon spence stonebraker \
sutherland swanson swartz swirles taussig tesla tharp thompson torvalds tu turing varahamihira vaughan vaughn \
villani visvesvaraya volhard wescoff weierstrass wilbur wiles williams williamson wilson wing wozniak wright wu \
yalow yonath zhukovsky";

/// A random name, `focused_turing`; after failed attempts a digit is appended.
pub fn random(attempt: u32) -> String {
    let name = format!("{}_{}", pick(ADJECTIVES), pick(SURNAMES));
    // Docker's one exception, kept: https://github.com/moby/moby, names-generator.
    if name == "boring_wozniak" {
        return random(attempt);
    }
    if attempt == 0 {
        name
    } else {
        format!("{name}{}", random_below(10))
    }
}

fn pick(words: &'static str) -> &'static str {
    let count = words.split_ascii_whitespace().count();
    words
        .split_ascii_whitespace()
        .nth(random_below(count))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_words_and_a_digit_after_a_clash() {
        let name = random(0);
        let (adjective, surname) = name.split_once('_').unwrap();
        assert!(ADJECTIVES.contains(adjective) && SURNAMES.contains(surname));
        assert!(random(1).ends_with(|last: char| last.is_ascii_digit()));
    }
}
