// One YAML 1.2 file, parsed strictly and bounded, with the place of every value in it. What the values mean is for others.
import { KeylineError, messageOf } from '@keyline/kernel';
import { open } from 'node:fs/promises';
import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type Document,
} from 'yaml';
import type { ConfigProblem } from './problem.ts';

const mostBytes = 1_048_576;
const deepest = 32;

export interface YamlFile {
  /** Relative to the configuration folder. */
  readonly file: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** Place of the value at a path of keys and positions, or of the nearest thing around it. */
  at(path: readonly (string | number)[]): { line: number; column: number };
  /** Place of a key inside the mapping at a path. */
  atKey(path: readonly (string | number)[], key: string): { line: number; column: number };
}

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE */
async function readBounded(path: string): Promise<Buffer | 'too large'> {
  let handle;
  try {
    handle = await open(path, 'r');
    const buffer = Buffer.alloc(mostBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (length > mostBytes) return 'too large';
      if (bytesRead === 0) return buffer.subarray(0, length);
    }
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new KeylineError(
      missing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      missing ? 'the file is missing' : `the file can't be read: ${messageOf(cause)}`,
      { cause },
    );
  } finally {
    await handle?.close();
  }
}

/** The file, or what is wrong with it; never both. */
export async function loadYamlFile(
  path: string,
  file: string,
): Promise<{ yaml: YamlFile } | { problems: ConfigProblem[] }> {
  const whole = (message: string): { problems: ConfigProblem[] } => ({
    problems: [{ file, line: 0, column: 0, message }],
  });
  let bytes;
  try {
    bytes = await readBounded(path);
  } catch (error) {
    if (!(error instanceof KeylineError)) throw error;
    return whole(error.detail);
  }
  if (bytes === 'too large') return whole(`the file is larger than ${String(mostBytes)} bytes`);
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return whole('the file is not UTF-8 text');
  }
  return parseYaml(text, file);
}

/** @param file name for messages */
export function parseYaml(
  text: string,
  file: string,
): { yaml: YamlFile } | { problems: ConfigProblem[] } {
  const counter = new LineCounter();
  const place = (offset: number): { line: number; column: number } => {
    const { line, col } = counter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problem = (offset: number, message: string): ConfigProblem => ({
    file,
    ...place(offset),
    message,
  });
  if (isTooDeep(text)) return { problems: [problem(0, 'the file is nested too deeply')] };
  const document = parseDocument(text, {
    version: '1.2',
    lineCounter: counter,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    stringKeys: true,
    logLevel: 'error',
  });
  const faults = [...document.errors, ...document.warnings].map(({ code, message, pos }) =>
    problem(pos[0], explain(code, message, text.slice(pos[0], pos[0] + 60))),
  );
  // An alias makes one value stand in several places, which no reader of a short file needs and no message can point at.
  visit(document, {
    Node: (_key, node) => {
      const { anchor } = node as { readonly anchor?: string | undefined };
      if (isAlias(node) || anchor !== undefined) {
        faults.push(problem(node.range?.[0] ?? 0, 'anchors and aliases (& and *) are not allowed'));
      }
    },
  });
  if (faults.length > 0) return { problems: faults };
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) {
    return { problems: [problem(0, 'the file is empty')] };
  }
  if (!isMap(root)) {
    return { problems: [problem(root.range[0], 'the file must be a mapping (key: value)')] };
  }
  return { yaml: createYamlFile(file, document, place) };
}

/** Flow collections nest without indentation, and the parser recurses: cut hostile input off before it does. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  for (const character of text) {
    if (character === '[' || character === '{') depth++;
    else if (character === ']' || character === '}') depth = Math.max(0, depth - 1);
    else if (character === '\n' && depth < deepest) depth = 0;
    if (depth > deepest) return true;
  }
  // A block collection needs a column (or a "- ") for each level.
  return new RegExp(`^ {${String(deepest * 8)}}|^ *(?:- +){${String(deepest)}}`, 'm').test(text);
}

function explain(code: string, message: string, source: string): string {
  switch (code) {
    case 'DUPLICATE_KEY': {
      const key = /^[^\s:]+/.exec(source)?.[0] ?? '';
      return `the key "${key}" is there twice`;
    }
    case 'MULTIPLE_DOCS':
      return 'the file holds several documents (---); write one document a file';
    case 'TAB_AS_INDENT':
      return "tabs can't indent in YAML; use spaces";
    default:
      return `not valid YAML: ${message}`;
  }
}

function createYamlFile(
  file: string,
  document: Document.Parsed,
  place: (offset: number) => { line: number; column: number },
): YamlFile {
  const at: YamlFile['at'] = (path) => {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return place(node.range[0]);
    }
    return place(document.contents?.range[0] ?? 0);
  };
  return {
    file,
    value: document.toJS() as Record<string, unknown>,
    at,
    atKey(path, key) {
      const parent = path.length === 0 ? document.contents : document.getIn(path, true);
      const pair = isMap(parent)
        ? parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key)
        : undefined;
      return isScalar(pair?.key) && pair.key.range ? place(pair.key.range[0]) : at(path);
    },
  };
}
