// An engine in a folder of its own, and the words to drive it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { openDynsecEngine, type DynsecEngine, type Executed } from '../src/index.ts';

const admin = { username: 'admin@keyline', clientId: 'ca' };
const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyline-dynsec-'));
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function openEngine(
  folder = temporaryFolder(),
  options: Partial<Parameters<typeof openDynsecEngine>[0]> = {},
): Promise<DynsecEngine> {
  const engine = await openDynsecEngine({ folder, admins: [admin.username], ...options });
  cleanUps.push(() => engine.close().catch(() => undefined)); // some tests break the folder
  return engine;
}

export function execute(engine: DynsecEngine, ...commands: object[]): Promise<Executed> {
  return engine.execute(Buffer.from(JSON.stringify({ commands })), admin);
}

/** As `execute`, and every command must be done. */
export async function carryOut(engine: DynsecEngine, ...commands: object[]): Promise<Executed> {
  const executed = await execute(engine, ...commands);
  for (const { command, error } of answersOf(executed)) {
    if (error !== undefined) throw new Error(`${command}: ${error}`);
  }
  return executed;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests take it apart and know what they put in
export function answersOf({ response }: Executed): any[] {
  return JSON.parse(response).responses;
}
