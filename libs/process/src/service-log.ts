// What a service writes, kept in bounded files. Lines of one kind that come too often get a file of their own: what a stranger can cause
// as often as he likes pushes nothing else out.
import type { Readable } from 'node:stream';
import { RotatingFile, type LogBounds } from './rotating-file.ts';

export const defaultLogBounds: LogBounds = { fileBytes: 10 * 1024 * 1024, files: 5 };

interface ServiceLogOptions {
  /** `logs/keyline-ca.log`. */
  readonly path: string;
  readonly bounds: LogBounds;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Lines of one kind in a minute; more go to the file for what is frequent. */
  readonly oftenPerMinute?: number;
}

const minute = 60_000;
const defaultOften = 600;
/** Kinds that are told apart within a minute; the rest is one kind. */
const mostKinds = 500;
const longestLine = 16 * 1024;
const keptLines = 15;

export class ServiceLog {
  readonly #options: ServiceLogOptions;
  readonly #main: RotatingFile;
  readonly #frequent: RotatingFile;
  readonly #frequentName: string;
  #counts = new Map<string, number>();
  #minute = -Infinity;
  #last: string[] = [];

  constructor(options: ServiceLogOptions) {
    this.#options = options;
    const frequentPath = options.path.replace(/\.log$/, '.frequent.log');
    this.#frequentName = frequentPath.split(/[\\/]/).at(-1) ?? frequentPath;
    const own = (text: string): string => this.#ownLine(text);
    this.#main = new RotatingFile(options.path, options.bounds, own);
    this.#frequent = new RotatingFile(frequentPath, options.bounds, own);
  }

  /** The end of what was said, for who asks why a service ended. */
  get tail(): string {
    return this.#last.map((line) => `  ${line.slice(0, 500)}`).join('\n');
  }

  /** Takes all that comes; a line of any length, cut. Answers when the stream has ended. */
  follow(stream: Readable): Promise<void> {
    let rest = '';
    let isCut = false;
    stream.setEncoding('utf8');
    stream.on('data', (part: string) => {
      const lines = (rest + part).split('\n');
      rest = lines.pop() ?? '';
      // The rest of a line whose beginning was taken is the end of it, and nothing of its own.
      if (isCut && lines.length > 0) {
        lines.shift();
        isCut = false;
      }
      if (rest.length > longestLine) {
        if (!isCut) lines.push(rest);
        isCut = true;
        rest = '';
      }
      this.#take(lines);
    });
    return new Promise((resolve) => {
      stream.once('close', () => {
        if (rest !== '' && !isCut) this.#take([rest]);
        resolve();
      });
    });
  }

  close(): void {
    this.#main.close();
    this.#frequent.close();
  }

  #take(lines: readonly string[]): void {
    let main = '';
    let frequent = '';
    this.#turnMinute();
    for (const whole of lines) {
      const line =
        whole.length > longestLine
          ? `${whole.slice(0, longestLine)}… (${String(whole.length)} characters or more)`
          : whole;
      this.#last = [...this.#last.slice(1 - keptLines), line];
      const kind = this.#kindOf(line);
      const count = (this.#counts.get(kind) ?? 0) + 1;
      this.#counts.set(kind, count);
      const often = this.#options.oftenPerMinute ?? defaultOften;
      if (count <= often) main += `${line}\n`;
      else {
        frequent += `${line}\n`;
        if (count === often + 1) {
          main += this.#ownLine(
            `more than ${String(often)} lines like this in a minute: the rest of them goes to ${this.#frequentName}: ${kind}`,
          );
        }
      }
    }
    if (main !== '') this.#main.write(main);
    if (frequent !== '') this.#frequent.write(frequent);
  }

  #turnMinute(): void {
    const now = this.#options.now();
    if (now - this.#minute < minute && now >= this.#minute) return;
    this.#minute = now;
    const often = this.#options.oftenPerMinute ?? defaultOften;
    const counts = this.#counts;
    this.#counts = new Map();
    for (const [kind, count] of counts) {
      if (count <= often) continue;
      const apart = String(count - often);
      this.#main.write(
        this.#ownLine(`${apart} lines of the last minute are in ${this.#frequentName}: ${kind}`),
      );
    }
  }

  #kindOf(line: string): string {
    const kind = describeKind(line);
    return this.#counts.has(kind) || this.#counts.size < mostKinds ? kind : 'others';
  }

  #ownLine(msg: string): string {
    const time = new Date(this.#options.now()).toISOString();
    return `${JSON.stringify({ level: 'warn', time, name: 'keyline-up', msg })}\n`;
  }
}

/** Level and event or message of a line, without what differs from one to the next: numbers, names in quotes, hexadecimal. */
export function describeKind(line: string): string {
  let words = line;
  let level: unknown = '';
  if (line.startsWith('{')) {
    try {
      const parsed = JSON.parse(line) as Record<string, unknown>;
      ({ level = '' } = parsed);
      const { event, msg } = parsed;
      words = typeof event === 'string' ? event : typeof msg === 'string' ? msg : line;
    } catch {
      // No JSON: by its words.
    }
  }
  const plain = words
    .slice(0, 400)
    .replace(/"[^"]*"|'[^']*'/g, '#')
    .replace(/[\w:.-]+/g, (word) => (/\d/.test(word) ? '#' : word))
    .replace(/[^\x20-\x7e]/g, '');
  return `${typeof level === 'string' || typeof level === 'number' ? String(level) : ''} ${plain.slice(0, 80)}`.trim();
}
