// `make bench`: each bench in a process of its own, one after the other; a table, and build/bench.json.
import { fork } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { benches } from './benches.ts';
import { hasMosquitto } from './broker/beside-mosquitto.ts';
import type { Bench, Figure } from './support/bench.ts';

const project = join(import.meta.dirname, '../..');
const file = join(project, 'build/bench.json');
const quick = !['', '0', undefined].includes(process.env['QUICK']);
const only = (process.env['ONLY'] ?? '').split(',').filter((id) => id !== '');
const longestRun = 15 * 60_000;

function chosen(): readonly Bench[] {
  const unknown = only.filter((id) => !benches.some((bench) => bench.id === id));
  if (unknown.length > 0) {
    console.error(
      `There is no bench ${unknown.join(', ')}. Known: ${benches.map(({ id }) => id).join(', ')}`,
    );
    process.exit(2);
  }
  return only.length === 0 ? benches : benches.filter(({ id }) => only.includes(id));
}

function runApart({ id }: Bench): Promise<Figure> {
  return new Promise((resolve, reject) => {
    const child = fork(join(import.meta.dirname, 'one.ts'), [id, quick ? 'quick' : 'full'], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    let figure: Figure | undefined;
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (part: string) => (said += part));
    child.on('message', (message) => (figure = message as Figure));
    const timer = setTimeout(() => child.kill('SIGTERM'), longestRun);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (figure !== undefined) resolve(figure);
      else reject(new Error(`ended with ${signal ?? code ?? '?'}\n${said.trim()}`));
    });
  });
}

const columns = [20, 12, 19, 10, 8, 9, 4];
function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => (i === 0 || i === 2 ? cell.padEnd(columns[i]!) : cell.padStart(columns[i]!)))
    .join('  ')
    .trimEnd();
}

const cpu = cpus();
console.log(
  `${cpu.length} × ${cpu[0]?.model ?? 'unknown'}, Node ${process.version}${quick ? ', QUICK' : ''}\n`,
);
console.log(line(['id', 'value', 'unit', 'limit', 'ratio', 'reach', '']));
const figures: Figure[] = [];
const failures: string[] = [];
const absent: string[] = [];
for (const bench of chosen()) {
  if (bench.needs === 'mosquitto' && !hasMosquitto()) {
    absent.push(bench.id);
    console.log(`${bench.id}  not measured: it is about Mosquitto (Debian package mosquitto)`);
    continue;
  }
  try {
    const figure = await runApart(bench);
    figures.push(figure);
    const { value, unit, limit, peer, peerName, ratio, reach, met, missing, notes = [] } = figure;
    console.log(
      line([
        figure.id,
        String(value),
        unit,
        String(limit ?? peer ?? ''),
        String(ratio ?? ''),
        reach,
        met === undefined ? '-' : met ? 'ok' : 'no',
      ]),
    );
    console.log(`    ${bench.means}`);
    if (peer !== undefined) console.log(`    ${peerName ?? 'peer'}: ${peer} ${unit}`);
    if (missing !== undefined) console.log(`    not here to compare with: ${missing}`);
    for (const note of notes) console.log(`    ${note}`);
  } catch (error) {
    failures.push(bench.id);
    console.log(`${bench.id}  FAILED: ${error instanceof Error ? error.message : String(error)}`);
  }
}
mkdirSync(join(project, 'build'), { recursive: true });
writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
const unjudged = figures
  .filter(({ met }) => met === undefined)
  .map(({ id }) => id)
  .concat(absent);
const missed = figures.filter(({ met }) => met === false).map(({ id }) => id);
console.log(
  `\n${figures.length} measured${missed.length === 0 ? ', all as they should be' : `, not reached: ${missed.join(', ')}`}${unjudged.length === 0 ? '' : `, nothing to compare with: ${unjudged.join(', ')}`}${failures.length === 0 ? '' : `, failed: ${failures.join(', ')}`}. Written to build/bench.json.`,
);
console.log(
  'L, the limit of the CPU-s figures: one verification of a CSR with key import and one signature by node:crypto, P-256, in the same run.',
);
process.exitCode = failures.length === 0 ? 0 : 1;
