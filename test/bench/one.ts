// Runs one bench in this process and tells its figure to the harness that started it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benches } from './benches.ts';
import { figureOf } from './support/bench.ts';

const [id, quick] = process.argv.slice(2);
const bench = benches.find((one) => one.id === id);
if (bench === undefined) throw new Error(`there is no bench "${id ?? ''}"`);

const folder = mkdtempSync(join(tmpdir(), `keyline-bench-${bench.id}-`));
const notes: string[] = [];
try {
  const measured = await bench.run({
    quick: quick === 'quick',
    folder,
    note: (text) => notes.push(text),
  });
  process.send?.(figureOf(bench, measured, notes));
} finally {
  if (process.env['KEEP'] === undefined) rmSync(folder, { recursive: true, force: true });
  else console.error(`kept ${folder}`);
}
// Open connections and agents are of no more use.
process.exit(0);
