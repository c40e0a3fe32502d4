// Builds build/package, the folder that is packed: the sources with their types stripped, because Node strips none below node_modules, the
// launchers, ca-config, and every dependency in the version that the lock file has, so that installing it asks no registry.
import { cp, mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import ts from 'typescript';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const root = join(import.meta.dirname, '..');
const out = join(root, 'build/package');
const own = '@keyline/';

const loadManifest = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;

/** Rooms and programs, as folders relative to the project: apps/ca, libs/kernel … */
const rooms: string[] = [];
for (const part of ['apps', 'libs']) {
  for (const name of (await readdir(join(root, part))).toSorted()) {
    if (existsSync(join(root, part, name, 'package.json'))) rooms.push(join(part, name));
  }
}
const manifests = new Map<string, Manifest>();
for (const room of rooms) manifests.set(room, await loadManifest(join(root, room)));

/** `@keyline/x` is where a room has its index. */
const indexes = new Map(
  [...manifests].map(([room, { name }]) => [name, join(room, 'src/index.ts')] as const),
);

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const bins: Record<string, string> = {};
for (const room of rooms) {
  await compileFolder(join(room, 'src'));
  for (const [name, path] of Object.entries(manifests.get(room)?.bin ?? {})) {
    const launcher = join(room, path);
    const text = await readFile(join(root, launcher), 'utf8');
    if (!text.includes('src/main.ts"')) throw new Error(`${launcher} starts no src/main.ts`);
    await write(launcher, text.replaceAll('src/main.ts"', 'src/main.js"'), 0o755);
    bins[name] = launcher;
  }
}
for (const name of ['node', 'place'])
  await cp(join(root, 'scripts', name), join(out, 'scripts', name));
for (const name of ['package.json', 'package-lock.json']) {
  await cp(join(root, 'scripts/toolchain', name), join(out, 'scripts/toolchain', name));
}
for (const name of ['ca-config', 'docs', 'LICENSE', 'README.md', 'SECURITY.md']) {
  await cp(join(root, name), join(out, name), { recursive: true });
}
await writeManifest(await copyDependencies());

/** Every source as JavaScript: types become spaces, so that lines and columns in a stack stay what they are. */
async function compileFolder(folder: string): Promise<void> {
  for (const entry of await readdir(join(root, folder), { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const file = relative(root, join(entry.parentPath, entry.name));
    if (!file.endsWith('.ts')) throw new Error(`${file} is no .ts: say here how it is packed`);
    const source = await readFile(join(root, file), 'utf8');
    const script = stripTypeScriptTypes(source, { mode: 'strip' });
    await write(file.replace(/\.ts$/, '.js'), rewriteImports(script, file));
  }
}

/** `./x.ts` becomes `./x.js`, and `@keyline/x` the path of its index: nothing is resolved by a name of ours. */
function rewriteImports(script: string, file: string): string {
  let text = '';
  let at = 0;
  for (const { text: name, start, end } of specifiersOf(script)) {
    const target = name.startsWith(own) ? relativeImport(file, indexes.get(name)) : name;
    if (!target.startsWith('.')) continue;
    if (!target.endsWith('.ts')) throw new Error(`${file} imports ${name}`);
    text += `${script.slice(at, start)}'${target.replace(/\.ts$/, '.js')}'`;
    at = end;
  }
  text += script.slice(at);
  if (text.includes(`'${own}`)) throw new Error(`${file} still names a room`);
  return text;
}

/** What a script imports, where it stands in it, in order. */
function specifiersOf(script: string): { text: string; start: number; end: number }[] {
  const found: ts.StringLiteralLike[] = [];
  const tree = ts.createSourceFile('script.js', script, ts.ScriptTarget.ESNext);
  const visit = (node: ts.Node): void => {
    const specifier =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
          ? node.arguments[0]
          : undefined;
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) found.push(specifier);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found.map((literal) => ({
    text: literal.text,
    start: literal.getStart(tree),
    end: literal.getEnd(),
  }));
}

function relativeImport(from: string, to: string | undefined): string {
  if (to === undefined) throw new Error(`${from} imports a room that is not there`);
  const path = relative(dirname(from), to);
  return path.startsWith('.') ? path : `./${path}`;
}

/**
 * Copies what the rooms depend on, and what that depends on, each from where Node would find it.
 * @returns the dependencies of the whole
 */
async function copyDependencies(): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  /** Path below out → the version that is there. */
  const placed = new Map<string, string>();
  const visit = async (name: string, from: string, into: string): Promise<void> => {
    const source = await findPackage(name, from);
    if (source === undefined) return;
    // As npm does it: at the top where that is free, below the dependent where another version is.
    const top = join('node_modules', name);
    const { version } = await loadManifest(source);
    const target =
      (placed.get(top) ?? version) === version ? top : join(into, 'node_modules', name);
    if (placed.get(target) === version) return;
    placed.set(target, version);
    await cp(source, join(out, target), {
      recursive: true,
      filter: (path) => isNeeded(path, source),
    });
    for (const each of Object.keys(await dependenciesOf(source))) await visit(each, source, target);
  };
  for (const room of rooms) {
    for (const [name, version] of Object.entries(manifests.get(room)?.dependencies ?? {})) {
      if (name.startsWith(own)) continue;
      if ((all[name] ??= version) !== version)
        throw new Error(
          `Rooms want ${name} in two versions: ${all[name]} and ${version} (${room})`,
        );
    }
  }
  // The rooms' own first: they are what must stand at the top.
  for (const room of rooms) {
    for (const name of Object.keys(manifests.get(room)?.dependencies ?? {}).toSorted()) {
      if (!name.startsWith(own)) await visit(name, join(root, room), '');
    }
  }
  return all;
}

async function dependenciesOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const manifest = (await loadManifest(folder)) as Manifest & {
    readonly optionalDependencies?: Readonly<Record<string, string>>;
  };
  return { ...manifest.dependencies, ...manifest.optionalDependencies };
}

async function findPackage(name: string, from: string): Promise<string | undefined> {
  for (let folder = from; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (existsSync(join(found, 'package.json'))) return realpath(found);
    if (folder === root) break;
  }
  // An optional one that was left out for this platform.
  return undefined;
}

/** Without tests, pages, and what only compilers and editors read; the sources of SQLite are there as binaries. */
function isNeeded(path: string, source: string): boolean {
  const below = relative(source, path);
  if (/^node_modules(\/|$)/.test(below)) return false;
  if (basename(source) === 'better-sqlite3' && /^(deps|src)(\/|$)/.test(below)) return false;
  if (/^(tests?|bench(marks?)?|examples?|docs|\.github)(\/|$)/.test(below)) return false;
  return !/\.(ts|cts|mts|map|md|yml)$/.test(below);
}

async function writeManifest(dependencies: Record<string, string>): Promise<void> {
  const { name, version, description, license, engines } = (await loadManifest(root)) as Manifest &
    Readonly<Record<string, unknown>>;
  const sorted = Object.fromEntries(Object.entries(dependencies).toSorted());
  const manifest = {
    ...{ name, version, description, license, engines, type: 'module', bin: bins },
    dependencies: sorted,
    bundleDependencies: Object.keys(sorted),
  };
  await write('package.json', `${JSON.stringify(manifest, null, 2)}\n`);
}

async function write(file: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(join(out, file)), { recursive: true });
  await writeFile(join(out, file), text, { mode });
}
