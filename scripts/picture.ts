// Draws docs/demo.svg: the real demo, recorded in a pseudo terminal (script, of bsdutils), line by line at its own pace. No service and no
// library draws it: text, and CSS that moves it. Where nothing moves (a printout, reduced motion) the last screen stands.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

interface Line {
  /** Milliseconds after the first one. */
  readonly at: number;
  readonly spans: readonly Span[];
}

interface Span {
  readonly text: string;
  /** SGR codes that hold: 1 bold, 2 faint, 31 red, 32 green, 36 cyan. */
  readonly codes: readonly number[];
}

const root = join(import.meta.dirname, '..');
const rows = 26;
const columns = 110;
const lineHeight = 18;
const advance = 7.8;
const margin = 18;
const bar = 30;
/** How long the last screen stands before it begins anew, and how long no pause is longer than, in milliseconds. */
const rest = 6000;
const longestPause = 1200;
const shortestPause = 60;

const classes: Readonly<Record<number, string>> = { 1: 'b', 2: 'f', 31: 'r', 32: 'g', 36: 'c' };

const out = process.argv[2] ?? join(root, 'docs/demo.svg');
const lines = pace(readLines(await record()));
await writeFile(out, draw(lines));
console.log(`${out}: ${String(lines.length)} lines`);

/** What the demo writes on a terminal, in pieces with their times. */
async function record(): Promise<{ at: number; text: string }[]> {
  const child = spawn('script', ['-qefc', 'scripts/demo', '/dev/null'], {
    cwd: root,
    env: { ...process.env, TERM: 'xterm-256color', COLUMNS: String(columns), NO_COLOR: undefined },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pieces: { at: number; text: string }[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    pieces.push({ at: performance.now(), text });
  });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) {
    throw new Error(
      `The demo failed, and is no picture:\n${pieces.map(({ text }) => text).join('')}`,
    );
  }
  return pieces;
}

/** Lines as they stand in the end: what "\r" and "erase line" took away is gone. */
function readLines(pieces: readonly { at: number; text: string }[]): Line[] {
  const found: { at: number; text: string }[] = [];
  let rest = '';
  for (const { at, text } of pieces) {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) found.push({ at, text: lastWritten(part) });
  }
  const [first] = found;
  return found.map(({ at, text }) => ({
    at: at - (first?.at ?? 0),
    spans: readSpans(withoutPlaces(text)),
  }));
}

function lastWritten(line: string): string {
  return line.replace(/\r+$/, '').split('\r').at(-1)?.replaceAll('\u001b[K', '') ?? '';
}

/** Folders of whoever records it say nothing to anybody else. */
function withoutPlaces(text: string): string {
  return text
    .replaceAll(/\S*\/keyline-demo-\w+/g, '/tmp/keyline-demo')
    .replaceAll(root, '.')
    .replaceAll(homedir(), '~');
}

function readSpans(text: string): Span[] {
  const spans: Span[] = [];
  let codes: number[] = [];

  for (const part of text.split(/(\u001b\[[\d;]*m)/)) {
    const sequence = /^\u001b\[([\d;]*)m$/.exec(part);
    if (sequence !== null) {
      const said = (sequence[1] ?? '').split(';').map(Number);
      codes = said.includes(0) ? [] : [...codes, ...said];
    } else if (part !== '') spans.push({ text: part, codes });
  }
  return spans;
}

/** No pause longer than a reader's patience, none too short to see. */
function pace(lines: readonly Line[]): Line[] {
  let at = 0;
  let before = 0;
  return lines.map((line) => {
    at += Math.round(Math.min(longestPause, Math.max(shortestPause, line.at - before)));
    before = line.at;
    return { ...line, at };
  });
}

function draw(lines: readonly Line[]): string {
  const total = (lines.at(-1)?.at ?? 0) + rest;
  const percent = (at: number): string => ((at / total) * 100).toFixed(3);
  const width = Math.ceil(columns * advance + 2 * margin);
  const height = bar + rows * lineHeight + margin;
  const last = Math.max(0, lines.length - rows);
  // One step of the whole text for each line that would not fit.
  const steps = lines
    .map(({ at }, index) => ({ at, up: Math.max(0, index + 1 - rows) }))
    .map(({ at, up }) => `${percent(at)}%{transform:translateY(${String(-up * lineHeight)}px)}`);
  const texts = lines.map((line, index) => {
    const y = bar + (index + 1) * lineHeight;
    return `<text xml:space="preserve" x="${String(margin)}" y="${String(y)}" style="animation-name:l${String(index)}">${line.spans.map(drawSpan).join('')}</text>`;
  });
  const appear = lines.map(
    ({ at }, index) =>
      `@keyframes l${String(index)}{0%,${percent(Math.max(0, at - 1))}%{opacity:0}${percent(at)}%,100%{opacity:1}}`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(width)} ${String(height)}" width="${String(width)}" height="${String(height)}" role="img" aria-label="make demo: Keyline's whole job on real parts, each fact verified">
<style>
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d6deeb;white-space:pre;animation:${String(total)}ms step-end infinite}
.s{transform:translateY(${String(-last * lineHeight)}px);animation:scroll ${String(total)}ms step-end infinite}
.b{font-weight:700;fill:#fff}.f{fill:#7f8ea3}.r{fill:#ff6b6b}.g{fill:#3ddc84}.c{fill:#5ccfe6}
@keyframes scroll{0%{transform:translateY(0)}${steps.join('')}100%{transform:translateY(${String(-last * lineHeight)}px)}}
${appear.join('\n')}
@media (prefers-reduced-motion:reduce){text,.s{animation:none}}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1520"/>
<circle cx="20" cy="16" r="5" fill="#ff5f57"/><circle cx="38" cy="16" r="5" fill="#febc2e"/><circle cx="56" cy="16" r="5" fill="#28c840"/>
<clipPath id="screen"><rect x="0" y="${String(bar)}" width="${String(width)}" height="${String(rows * lineHeight + 6)}"/></clipPath>
<g clip-path="url(#screen)"><g class="s" transform="translate(0 ${String(-last * lineHeight)})">
${texts.join('\n')}
</g></g>
</svg>
`;
}

function drawSpan({ text, codes }: Span): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const names = codes.flatMap((code) => classes[code] ?? []);
  return names.length === 0 ? escaped : `<tspan class="${names.join(' ')}">${escaped}</tspan>`;
}
