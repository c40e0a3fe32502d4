// Writes what is generated from the sources: the JSON Schemas of ca-config. `--check` compares instead and names what is stale.
import { createSchemaDocuments } from '@keyline/config';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'ca-config', 'schemas');
const check = process.argv.includes('--check');

await mkdir(folder, { recursive: true });
const documents = createSchemaDocuments();
const stale: string[] = [];
for (const { file, text } of documents) {
  const path = join(folder, file);
  if ((await readFile(path, 'utf8').catch(() => '')) === text) continue;
  stale.push(file);
  if (!check) await writeFile(path, text);
}
for (const file of await readdir(folder)) {
  if (documents.some((document) => document.file === file)) continue;
  stale.push(file);
  if (!check) await rm(join(folder, file));
}
if (stale.length > 0) {
  const verb = check ? 'Stale' : 'Wrote';
  console.log(`${verb}: ${stale.map((file) => `ca-config/schemas/${file}`).join(', ')}`);
  if (check) {
    console.log('Run scripts/generate and commit what it writes.');
    process.exitCode = 1;
  }
}
