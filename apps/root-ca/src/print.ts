// Facts as aligned lines. Text from a file somebody brought is shown without what could move the cursor or reorder the line.

/** Name and value per line; entries without a value are left out. */
export function facts(entries: readonly (readonly [string, string | undefined])[]): string {
  const shown = entries.filter(
    (entry): entry is readonly [string, string] => entry[1] !== undefined,
  );
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `  ${name.padEnd(width)}  ${printable(value)}\n`).join('');
}

// Controls, line and paragraph separators, and the marks that change the direction of writing.
const unprintable =
  /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu;

/** @param text of any origin */
export function printable(text: string): string {
  return text.replace(
    unprintable,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** The same for text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** `AB:CD:…`, as OpenSSL prints fingerprints, so that two people can compare them. */
export function fingerprint(hex: string): string {
  return hex.toUpperCase().match(/../g)?.join(':') ?? '';
}
