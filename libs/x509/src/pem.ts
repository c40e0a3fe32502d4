// PEM armour (RFC 7468): one block where one is wanted, whatever text is around it.
import { KeylineError } from '@keyline/kernel';
import { bufferOf } from './bytes.ts';

const maxPemCharacters = 4 * 1024 * 1024;

export function encodePem(label: string, der: Uint8Array): string {
  return [...encodePemInPieces(label, [der])].join('');
}

// Whole lines of 48 octets, 64 characters each; some milliseconds' work at most.
const lineBytes = 48;
const pieceBytes = lineBytes * 4096;

/**
 * The same for tens of megabytes: a text of about a quarter megabyte at a time.
 * @param der in pieces of any length
 */
export function* encodePemInPieces(
  label: string,
  der: Iterable<Uint8Array>,
): Generator<string, void> {
  yield `-----BEGIN ${label}-----\n`;
  let rest: Uint8Array = new Uint8Array();
  for (const piece of der) {
    let start = 0;
    if (rest.length > 0) {
      // The line that the piece before did not fill.
      start = Math.min(lineBytes - rest.length, piece.length);
      rest = Buffer.concat([rest, piece.subarray(0, start)]);
      if (rest.length < lineBytes) continue;
      yield encodeLines(rest);
    }
    const end = piece.length - ((piece.length - start) % lineBytes);
    for (; start < end; start += pieceBytes) {
      yield encodeLines(piece.subarray(start, Math.min(end, start + pieceBytes)));
    }
    rest = piece.subarray(end);
  }
  if (rest.length > 0) yield encodeLines(rest);
  yield `-----END ${label}-----\n`;
}

function encodeLines(octets: Uint8Array): string {
  const base64 = bufferOf(octets).toString('base64');
  const lines: string[] = [];
  for (let i = 0; i < base64.length; i += 64) lines.push(base64.slice(i, i + 64));
  return `${lines.join('\n')}\n`;
}

/** Characters that `encodePem` makes of so many octets. */
export function pemSize(label: string, bytes: number): number {
  const frame = 2 * label.length + '-----BEGIN -----\n-----END -----\n'.length;
  return frame + Math.ceil(bytes / 3) * 4 + Math.ceil(bytes / lineBytes);
}

interface Block {
  readonly label: string;
  readonly der: Uint8Array;
}

/**
 * The DER of the one block in the text. What is before and after it is skipped: `openssl -text` prints there, and editors, C strings and
 * serial lines leave a byte order mark, a NUL or a Ctrl-Z (RFC 7468 §2, §5.2).
 * @param label the label it must carry, or several of which one
 * @throws {KeylineError} DER_MALFORMED; also for a second block, whatever its label: which one was meant is not known
 */
export function decodePem(text: string, label: string | readonly string[]): Uint8Array {
  const labels = typeof label === 'string' ? [label] : label;
  const wanted = labels.map((name) => `-----BEGIN ${name}-----`).join(' or ');
  const blocks = readBlocks(text, wanted);
  const [block] = blocks;
  if (block === undefined || blocks.length > 1) {
    const found = blocks.map((one) => `"${one.label.slice(0, 40)}"`).slice(0, 4);
    throw new KeylineError(
      'DER_MALFORMED',
      `Expected one PEM block (${wanted}), found ${String(blocks.length)}${
        found.length === 0 ? '' : `: ${found.join(', ')}`
      }.`,
    );
  }
  if (!labels.includes(block.label)) {
    throw new KeylineError(
      'DER_MALFORMED',
      `Expected a PEM block ${wanted}, found "${block.label.slice(0, 40)}".`,
    );
  }
  return block.der;
}

/**
 * All CERTIFICATE blocks, or all of another label, in order; text between them (`subject=…` as OpenSSL prints it) is allowed.
 * @throws {KeylineError} DER_MALFORMED when there is none, or a block of another kind
 */
export function decodePemChain(text: string, label = 'CERTIFICATE'): Uint8Array[] {
  const wanted = `-----BEGIN ${label}-----`;
  const blocks = readBlocks(text, wanted);
  const other = blocks.find((block) => block.label !== label);
  if (other !== undefined || blocks.length === 0) {
    throw new KeylineError(
      'DER_MALFORMED',
      other === undefined
        ? `There is no PEM block ${wanted} in the text.`
        : `Expected only PEM blocks ${wanted}, found "${other.label.slice(0, 40)}".`,
    );
  }
  return blocks.map(({ der }) => der);
}

function readBlocks(text: string, wanted: string): Block[] {
  if (text.length > maxPemCharacters) {
    throw new KeylineError('DER_MALFORMED', 'The PEM text is larger than 4 MiB.');
  }
  const blocks: Block[] = [];
  let offset = 0;
  for (;;) {
    const begin = text.indexOf('-----BEGIN ', offset);
    if (begin < 0) return blocks;
    const labelEnd = text.indexOf('-----', begin + 11);
    const label = labelEnd < 0 ? '' : text.slice(begin + 11, labelEnd);
    const footer = `-----END ${label}-----`;
    const end = labelEnd < 0 ? -1 : text.indexOf(footer, labelEnd + 5);
    if (end < 0 || label.length > 64) {
      throw new KeylineError('DER_MALFORMED', `A PEM block is cut short (expected ${wanted}).`);
    }
    blocks.push({ label, der: decodeBase64(text.slice(labelEnd + 5, end)) });
    offset = end + footer.length;
  }
}

function decodeBase64(body: string): Uint8Array {
  let bytes: Uint8Array | undefined;
  try {
    // White space is skipped; any other character, missing padding and stray bits are refused.
    bytes = Uint8Array.fromBase64(body, { lastChunkHandling: 'strict' });
  } catch {
    bytes = undefined;
  }
  if (bytes === undefined || bytes.length === 0) {
    throw new KeylineError('DER_MALFORMED', 'The PEM block holds no valid base64.');
  }
  return bytes;
}
