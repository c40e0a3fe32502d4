// Writes what is generated from the sources: the JSON Schemas of ca-config, and the table of error codes. `--check` compares instead and
// names what is stale.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { problemTable } from '@keyline/api';
import { createSchemaDocuments } from '@keyline/config';
import {
  exitCodeMeanings,
  exitCodeOf,
  exitCodes,
  KeylineError,
  type ErrorCode,
} from '@keyline/kernel';
import { format } from 'prettier';

const root = join(import.meta.dirname, '..');
const schemas = 'ca-config/schemas';
const check = process.argv.includes('--check');

interface Generated {
  /** Relative to the project. */
  readonly file: string;
  readonly text: string;
}

async function describeErrorCodes(): Promise<Generated> {
  const rows = Object.entries(problemTable).map(
    ([code, [status, title]]) =>
      `| \`${code}\` | ${status} | ${exitCodeOf(new KeylineError(code as ErrorCode, ''), 'service')} | ${title} |`,
  );
  const meanings = Object.entries(exitCodeMeanings).map(
    ([name, meaning]) => `| ${exitCodes[name as keyof typeof exitCodes]} | ${meaning} |`,
  );
  const text = `# Error codes

Generated from [libs/api/src/problem.ts](../libs/api/src/problem.ts). Every refusal of the API is a problem document (RFC 9457) with one of
these as \`code\`; the command line prints it in brackets and with \`--json\`. Codes are stable: scripts match on them. \`detail\` says what
happened, with which input, and what to do next.

| code | HTTP | exit | what it is |
| --- | --- | --- | --- |
${rows.join('\n')}

## Exit codes

Of \`keyline\`, \`keyline-ca\`, \`keyline-broker\` and \`keyline-root\` alike ([libs/kernel/src/exit-code.ts](../libs/kernel/src/exit-code.ts)). A
program that judges a file or its command line itself, where \`keyline\` is told by the service, ends with 6 or 2 instead of 3: a CSR that
\`keyline-root\` can't read is a bad file.

| exit | meaning |
| --- | --- |
${meanings.join('\n')}
`;
  const options = { parser: 'markdown', printWidth: 100, singleQuote: true };
  return { file: 'docs/error-codes.md', text: await format(text, options) };
}

const documents: readonly Generated[] = [
  ...createSchemaDocuments().map(({ file, text }) => ({ file: join(schemas, file), text })),
  await describeErrorCodes(),
];
const stale: string[] = [];
for (const { file, text } of documents) {
  const path = join(root, file);
  if ((await readFile(path, 'utf8').catch(() => '')) === text) continue;
  stale.push(file);
  if (check) continue;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}
for (const name of await readdir(join(root, schemas))) {
  const file = join(schemas, name);
  if (documents.some((document) => document.file === file)) continue;
  stale.push(file);
  if (!check) await rm(join(root, file));
}
if (stale.length > 0) {
  console.log(`${check ? 'Stale' : 'Wrote'}: ${stale.join(', ')}`);
  if (check) {
    console.log('Run scripts/generate and commit what it writes.');
    process.exitCode = 1;
  }
}
