// Text of others on a terminal: what would move the cursor, change colours, forge a line or turn the direction of writing is shown, not done.

// C0 but tab and line feed, DEL and C1; line and paragraph separators; marks, embeddings, overrides and isolates of direction; BOM.
const unprintable =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * With each such character as `\u001b`. Line feeds and tabs stay. JSON stays JSON of the same value, because such characters stand only
 * inside its strings.
 */
export function escapeUnprintable(text: string): string {
  return text.replace(unprintable, escapeOne);
}

/** The same for what must stay on one line: a cell of a table, a name in a message. */
export function escapeLine(text: string): string {
  return escapeUnprintable(text).replace(/[\t\n]/g, escapeOne);
}

function escapeOne(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
