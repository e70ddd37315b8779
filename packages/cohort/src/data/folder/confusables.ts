/**
 * Letters of Cyrillic and Greek that look like Latin ones, after the table of Unicode (UTS 39, confusables.txt): as many as keyboards
 * mix up, since a word typed in the wrong layout is a class of its own.
 */
const LOOKS: Readonly<Record<string, string>> = {
  // Cyrillic, lower case (names are compared without case).
  ...{
    а: 'a',
    в: 'b',
    е: 'e',
    ѕ: 's',
    і: 'i',
    ї: 'i',
    ј: 'j',
    к: 'k',
    м: 'm',
    н: 'h',
    о: 'o',
    р: 'p',
    с: 'c',
  },
  ...{ т: 't', у: 'y', х: 'x', ԁ: 'd', һ: 'h', ӏ: 'l', ԛ: 'q', ԝ: 'w', ѵ: 'v', ё: 'e' },
  // Greek: capitals that look Latin, by their small letters.
  ...{
    α: 'a',
    β: 'b',
    ε: 'e',
    ζ: 'z',
    η: 'h',
    ι: 'i',
    κ: 'k',
    μ: 'm',
    ν: 'n',
    ο: 'o',
    ρ: 'p',
    τ: 't',
    υ: 'y',
  },
  ...{ χ: 'x', ϲ: 'c', γ: 'y' },
};

/** A lower-case name with the letters that it seems to be written in. */
export function latinLooks(name: string): string {
  return name.replaceAll(/[\p{Script=Cyrillic}\p{Script=Greek}]/gu, (letter) => LOOKS[letter] ?? letter);
}

const SCRIPTS: readonly (readonly [name: string, letters: RegExp])[] = [
  ['Latin', /\p{Script=Latin}/u],
  ['Cyrillic', /\p{Script=Cyrillic}/u],
  ['Greek', /\p{Script=Greek}/u],
];

/** The scripts of its letters, among Latin, Cyrillic and Greek. */
export function scriptsOf(name: string): string[] {
  return SCRIPTS.filter(([, letters]) => letters.test(name)).map(([script]) => script);
}
