// Command lines in messages, written so that they work where they are printed: by name, through npx, or by their path. Where that is, the
// launchers find out (scripts/place), the only ones that see PATH and the folder before any sandbox closes.
import { quoteForShell } from './secret-file.ts';

/**
 * How a person calls the programs: `path` by their names, `npx` from the folder they are in, otherwise the absolute path of the folder that
 * has `apps/cli/bin/keyline`.
 */
type CommandPlace = string;

const folders = {
  keyline: 'cli',
  'keyline-ca': 'ca',
  'keyline-broker': 'broker',
  'keyline-root': 'root-ca',
} as const;

type ProgramName = keyof typeof folders;

/** First words after a program's name that make it a command line; prose goes on with others ("keyline-root reads only …"). */
const words: Readonly<Record<Exclude<ProgramName, 'keyline'>, readonly string[]>> = {
  'keyline-ca': ['init', 'install', 'admin', 'migrate', 'move', 'serve'],
  'keyline-broker': ['serve'],
  'keyline-root': ['init', 'sign-intermediate', 'cross-sign', 'revoke', 'crl', 'inspect'],
};
const everywhere = ['--help', '--version', '[options]'];

/**
 * Makes what rewrites the command lines in a text.
 * @param place undefined: as they are
 * @param keylineWords what may follow `keyline`, the names of its commands
 */
export function commandNamer(
  place: CommandPlace | undefined,
  keylineWords: readonly string[],
): (text: string) => string {
  if (place === undefined || place === '' || place === 'path') return (text) => text;
  const lines = (Object.keys(folders) as ProgramName[]).map((name) => {
    const known = [...(name === 'keyline' ? keylineWords : words[name]), ...everywhere];
    return `${name}(?= (?:${known.map(escapePattern).join('|')})(?![\\w-]))`;
  });
  const pattern = new RegExp(String.raw`(?<![\w./@-])(?<!npx )(?:${lines.join('|')})`, 'g');
  return (text) => text.replace(pattern, (name) => commandAt(place, name as ProgramName));
}

function commandAt(place: CommandPlace, name: ProgramName): string {
  return place === 'npx'
    ? `npx ${name}`
    : quoteForShell(`${place}/apps/${folders[name]}/bin/${name}`);
}

function escapePattern(word: string): string {
  return word.replaceAll(/[[\]\\^$.*+?(){}|-]/g, String.raw`\$&`);
}
