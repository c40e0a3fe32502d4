// What was acknowledged is there after any crash, whole payloads only; damage is told apart from a crash.
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { DynsecEngine } from '../src/index.ts';
import { encodeLine } from '@keyline/journal';
import { carryOut, execute, openEngine, temporaryFolder } from './engine-fixture.ts';

const journalOf = (folder: string): string =>
  join(
    folder,
    readdirSync(folder)
      .filter((name) => name.startsWith('journal-'))
      .sort()
      .at(-1)!,
  );

/** One of everything, payload by payload. */
const payloads: readonly (readonly object[])[] = [
  [
    {
      command: 'createRole',
      rolename: 'r',
      textname: 'Rolle',
      acls: [{ acltype: 'publishClientSend', topic: 't/%u', priority: 3, allow: true }],
    },
    { command: 'createGroup', groupname: 'g', roles: [{ rolename: 'r', priority: 2 }] },
  ],
  [
    { command: 'createClient', username: 'a', clientid: 'id', textname: 'Ä "quoted"\n' },
    { command: 'addClientRole', username: 'a', rolename: 'r' },
    { command: 'addGroupClient', groupname: 'g', username: 'a', priority: 4 },
    { command: 'createClient', username: 'b', password: 'p' },
  ],
  [{ command: 'revokeCertificates', serials: ['01', 'ff00'] }],
  [
    { command: 'setAnonymousGroup', groupname: 'g' },
    { command: 'setDefaultACLAccess', acls: [{ acltype: 'subscribe', allow: true }] },
  ],
  [
    // Gone and made again in one payload: what belonged to the first does not belong to the second.
    { command: 'deleteRole', rolename: 'r' },
    { command: 'createRole', rolename: 'r' },
    { command: 'addClientRole', username: 'b', rolename: 'r' },
    { command: 'disableClient', username: 'a' },
  ],
  [
    { command: 'deleteClient', username: 'a' },
    { command: 'createClient', username: 'c', groups: [{ groupname: 'g' }] },
  ],
];

async function describeState(engine: DynsecEngine, serials = ['01', 'ff00']): Promise<string> {
  const counts = engine.counts();
  return JSON.stringify([
    counts,
    JSON.parse(await engine.exportState()),
    serials.filter((serial) => engine.isRevoked(serial)),
  ]);
}

describe('A restart', () => {
  it('brings everything back, from the journal alone and from the snapshot', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    for (const payload of payloads) await carryOut(engine, ...payload);
    const before = await describeState(engine);
    const crashed = temporaryFolder();
    cpSync(folder, crashed, { recursive: true });

    const fromJournal = await openEngine(crashed);
    expect(await describeState(fromJournal)).toBe(before);
    expect(await fromJournal.checkPassword('b', 'p')).toBe('ok');

    await engine.close();
    expect(statSync(journalOf(folder)).size).toBe(0);
    const fromSnapshot = await openEngine(folder);
    expect(await describeState(fromSnapshot)).toBe(before);
    // And goes on from there.
    await carryOut(fromSnapshot, { command: 'createClient', username: 'later' });
    await fromSnapshot.close();
    expect((await openEngine(folder)).counts()).toMatchObject({ recordIndex: payloads.length + 1 });
  });

  it('keeps its files to itself', async () => {
    const folder = join(temporaryFolder(), 'made', 'here');
    const engine = await openEngine(folder);
    await carryOut(engine, ...payloads[0]!);
    await engine.close();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder)) {
      expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
    }
  });

  it('after a crash at any byte of the journal finds whole payloads, and all that were acknowledged', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    const states = [await describeState(engine)];
    const ends = [0];
    const path = journalOf(folder);
    for (const payload of payloads) {
      await carryOut(engine, ...payload);
      states.push(await describeState(engine));
      ends.push(statSync(path).size);
    }
    const journal = readFileSync(path);
    await engine.close();
    expect(journal).toHaveLength(ends.at(-1)!);

    for (let length = 0; length <= journal.length; length += 1) {
      const crashed = temporaryFolder();
      writeFileSync(join(crashed, 'journal-0000000000000000.log'), journal.subarray(0, length));
      const after = await openEngine(crashed);
      const whole = ends.filter((end) => end <= length).length - 1;
      expect(await describeState(after), `cut at ${length}`).toBe(states[whole]);
      if (length % 97 === 0) {
        // What was torn is out of the way of what comes after.
        await carryOut(after, { command: 'createRole', rolename: `after-${length}` });
        const crashedAgain = temporaryFolder();
        cpSync(crashed, crashedAgain, { recursive: true });
        expect((await openEngine(crashedAgain)).counts().recordIndex).toBe(whole + 1);
      }
      await after.close();
      rmSync(crashed, { recursive: true });
    }
  }, 60_000);

  it('refuses a journal in which a byte was changed, and says where and what to do', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    for (const payload of payloads) await carryOut(engine, ...payload);
    const journal = readFileSync(journalOf(folder));
    for (const at of [0, 9, 30, Math.floor(journal.length / 2), journal.length - 2]) {
      const damaged = temporaryFolder();
      const bytes = Buffer.from(journal);
      bytes[at]! ^= 1;
      const path = join(damaged, 'journal-0000000000000000.log');
      writeFileSync(path, bytes);
      await expect(openEngine(damaged), `byte ${at}`).rejects.toMatchObject({
        code: 'FILE_UNREADABLE',
        detail: expect.stringContaining(`truncate -s`),
      });
      expect(readFileSync(path), 'left as it was').toEqual(bytes);
    }
  });

  it('takes holes in the last line for a crash, and in an earlier one for damage', async () => {
    const line = (n: number): Buffer =>
      encodeLine([JSON.stringify({ n, roles: [{ rolename: `r${n}`, acls: [] }] })]);
    const holed = Buffer.from(line(2));
    holed.fill(0, 10, 30);
    const crashed = temporaryFolder();
    writeFileSync(join(crashed, 'journal-0000000000000000.log'), Buffer.concat([line(1), holed]));
    expect((await openEngine(crashed)).counts()).toMatchObject({ roles: 1, recordIndex: 1 });

    const damaged = temporaryFolder();
    writeFileSync(
      join(damaged, 'journal-0000000000000000.log'),
      Buffer.concat([line(1), holed, line(3)]),
    );
    await expect(openEngine(damaged)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  it('refuses a journal with a gap', async () => {
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, 'journal-0000000000000000.log'),
      Buffer.concat([encodeLine(['{"n":1}']), encodeLine(['{"n":3}'])]),
    );
    await expect(openEngine(folder)).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      detail: expect.stringContaining('changes 2 to 2 are missing'),
    });
  });

  it('refuses to forget revocations', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    await carryOut(engine, ...payloads[2]!);
    await engine.close();
    rmSync(join(folder, 'revoked-serials'));
    await expect(openEngine(folder)).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      detail: expect.stringContaining('0 of 2 revoked serials'),
    });
  });

  it('refuses to go on without the journal, or without the state, that was there', async () => {
    for (const isStopped of [true, false]) {
      const folder = temporaryFolder();
      const engine = await openEngine(folder);
      await carryOut(engine, ...payloads[0]!);
      await engine.close();
      const again = await openEngine(folder);
      // Since the state was written: in the journal alone.
      if (!isStopped) await carryOut(again, ...payloads[2]!);
      const [noJournal, noState] = [temporaryFolder(), temporaryFolder()];
      for (const copy of [noJournal, noState]) cpSync(folder, copy, { recursive: true });
      rmSync(journalOf(noJournal));
      await expect(openEngine(noJournal)).rejects.toMatchObject({
        code: 'FILE_UNREADABLE',
        detail: expect.stringMatching(/journal-\d+\.log can't be used: it is missing/),
      });
      rmSync(join(noState, 'dynamic-security.json'));
      rmSync(join(noState, 'revoked-serials'));
      await expect(openEngine(noState)).rejects.toMatchObject({
        code: 'FILE_UNREADABLE',
        detail: expect.stringContaining('changes 1 to 1 are missing'),
      });
    }
  });
});

describe("A Mosquitto's file", () => {
  const file = (username: string): string =>
    JSON.stringify({
      defaultACLAccess: { publishClientSend: true },
      roles: [{ rolename: 'r', acls: [{ acltype: 'subscribePattern', topic: '#', allow: true }] }],
      clients: [{ username, roles: [{ rolename: 'r' }, { rolename: 'unknown' }] }, { username }],
      groups: [{ groupname: 'g', clients: [{ username, priority: 2 }, { username: 'unknown' }] }],
      anonymousGroup: 'g',
      somethingNew: 1,
    });

  it('laid into an empty folder is where the engine begins, and goes on after a crash', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'dynamic-security.json'), file('from-mosquitto'));
    const engine = await openEngine(folder);
    expect(engine.counts()).toMatchObject({ clients: 1, groups: 1, roles: 1 });
    expect(engine.maySubscribe({ username: 'from-mosquitto', clientId: 'x' }, 'a/b')).toBe(true);
    await carryOut(engine, { command: 'createClient', username: 'added' });
    const crashed = temporaryFolder();
    cpSync(folder, crashed, { recursive: true });
    expect((await openEngine(crashed)).checkIdentity('added')).toBe('known');
  });

  it('in the place of ours is taken after a clean stop, revocations stay, and refused over a journal', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    await carryOut(engine, ...payloads[0]!);
    await carryOut(engine, ...payloads[2]!);
    const crashed = temporaryFolder();
    cpSync(folder, crashed, { recursive: true });
    await engine.close();

    writeFileSync(join(folder, 'dynamic-security.json'), file('other'));
    const again = await openEngine(folder);
    expect(again.checkIdentity('other')).toBe('known');
    expect(again.isRevoked('ff00')).toBe(true);
    await carryOut(again, { command: 'createClient', username: 'on-top' });
    await again.close();
    expect((await openEngine(folder)).checkIdentity('on-top')).toBe('known');

    writeFileSync(join(crashed, 'dynamic-security.json'), file('other'));
    await expect(openEngine(crashed)).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      detail: expect.stringContaining('Move the journals away'),
    });
  });

  it('that is none is refused', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'dynamic-security.json'), '{"clients":[');
    await expect(openEngine(folder)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });
});

describe('Writing', () => {
  it('puts payloads that come together into one line, in their order', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        carryOut(engine, { command: 'createClient', username: `c${at}` }),
      ),
    );
    const lines = readFileSync(journalOf(folder), 'utf8').trimEnd().split('\n');
    expect(lines.length).toBeLessThan(25);
    expect(engine.counts().recordIndex).toBe(50);
  });

  it('costs what changed, not the fleet', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    const fleet = Array.from({ length: 5000 }, (_, at) => ({
      command: 'createClient',
      username: `device-${at}`,
    }));
    await carryOut(engine, { command: 'createRole', rolename: 'r' }, ...fleet);
    const before = statSync(journalOf(folder)).size;
    await carryOut(engine, { command: 'addClientRole', username: 'device-7', rolename: 'r' });
    await carryOut(engine, { command: 'modifyRole', rolename: 'r', textname: 'x' });
    expect(statSync(journalOf(folder)).size - before).toBeLessThan(400);
  });

  it('compacts a journal that has outgrown the snapshot by itself, while changes go on', async () => {
    const folder = temporaryFolder();
    let compacted: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (compacted = resolve));
    const engine = await openEngine(folder, {
      log: (_level, message) => {
        if (message.includes('were written to')) compacted();
      },
    });
    const change = (at: number): Promise<unknown> =>
      carryOut(engine, {
        command: at === 0 ? 'createRole' : 'modifyRole',
        rolename: 'r',
        textdescription: `${at} ${'x'.repeat(1024 * 1024)}`,
      });
    let at = 0;
    for (; at < 10; at += 1) await change(at);
    await Promise.all([done, change((at += 1)), change((at += 1))]);
    expect(statSync(join(folder, 'dynamic-security.json')).size).toBeGreaterThan(1024 * 1024);
    expect(readdirSync(folder).filter((name) => name.startsWith('journal-'))).toHaveLength(1);
    expect(statSync(journalOf(folder)).size).toBeLessThan(8 * 1024 * 1024);
    const crashed = temporaryFolder();
    cpSync(folder, crashed, { recursive: true });
    const after = await openEngine(crashed);
    expect(after.counts()).toEqual(engine.counts());
    expect(JSON.parse(await after.exportState()).roles[0].textdescription).toMatch(
      new RegExp(`^${at} `),
    );
  });

  it('tells when the journal is gone from under it, and acknowledges nothing more', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    rmSync(journalOf(folder));
    for (let tries = 0; tries < 2; tries += 1) {
      await expect(execute(engine, { command: 'createRole', rolename: 'r' })).rejects.toMatchObject(
        {
          code: 'INTERNAL',
        },
      );
    }
  });

  it('refuses to write behind somebody else, and goes on when that is undone', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    await carryOut(engine, { command: 'createRole', rolename: 'first' });
    const path = journalOf(folder);
    const { size } = statSync(path);
    appendFileSync(path, 'x');
    const lost = execute(engine, { command: 'createRole', rolename: 'second' });
    await expect(lost).rejects.toMatchObject({ code: 'INTERNAL' });
    truncateSync(path, size);
    // The change that could not be written is not lost with its answer.
    await carryOut(engine, { command: 'createRole', rolename: 'third' });
    const crashed = temporaryFolder();
    cpSync(folder, crashed, { recursive: true });
    expect((await openEngine(crashed)).counts()).toMatchObject({ roles: 3, recordIndex: 3 });
  });

  it('takes no change after close', async () => {
    const engine = await openEngine();
    await engine.close();
    await expect(execute(engine, { command: 'listRoles' })).rejects.toMatchObject({
      code: 'INTERNAL',
    });
  });
});

describe('kill -9', () => {
  it('at any moment, compactions included, loses nothing that was acknowledged', async () => {
    const folder = temporaryFolder();
    let acknowledged = 0;
    for (let round = 0; round < 6; round += 1) {
      const child = spawn(
        process.execPath,
        [fileURLToPath(new URL('writer.ts', import.meta.url)), folder],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const ended = new Promise((resolve) => child.once('exit', resolve));
      let seen = 0;
      for await (const line of createInterface(child.stdout)) {
        acknowledged = Number(line);
        seen += 1;
        // Another moment each time, all of them within the writer's compactions.
        if (seen === 20 + round * 13) child.kill('SIGKILL');
      }
      await ended;
      expect(seen).toBeGreaterThanOrEqual(20);
      const copy = temporaryFolder();
      cpSync(folder, copy, { recursive: true });
      const engine = await openEngine(copy);
      const { recordIndex, clients, revokedSerials } = engine.counts();
      expect(recordIndex).toBeGreaterThanOrEqual(acknowledged);
      // Each payload adds two clients and a serial: never half of one.
      expect(clients).toBe(2 * recordIndex);
      expect(revokedSerials).toBe(recordIndex);
      for (let n = 1; n <= recordIndex; n += 1) {
        expect(engine.checkIdentity(`first-${n}`)).toBe('known');
        expect(engine.checkIdentity(`second-${n}`)).toBe('known');
      }
      await engine.close();
    }
    expect(acknowledged).toBeGreaterThan(100);
    expect(existsSync(join(folder, 'dynamic-security.json'))).toBe(true);
  }, 60_000);

  it('between the steps of a compaction leaves files that can be read', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    await carryOut(engine, ...payloads[0]!);
    await carryOut(engine, ...payloads[1]!);
    const beforeCompaction = temporaryFolder();
    cpSync(folder, beforeCompaction, { recursive: true });
    const expected = await describeState(engine);
    await engine.close();

    // The new journal is there, the old one too, the snapshot is not.
    const turnedOver = temporaryFolder();
    cpSync(beforeCompaction, turnedOver, { recursive: true });
    writeFileSync(join(turnedOver, 'journal-0000000000000002.log'), '');
    // The snapshot is in place, the old journal not yet gone; a half-written file lies about.
    const replaced = temporaryFolder();
    cpSync(folder, replaced, { recursive: true });
    renameSync(journalOf(beforeCompaction), join(replaced, 'journal-0000000000000000.log'));
    mkdirSync(join(replaced, 'unrelated'));
    writeFileSync(join(replaced, 'dynamic-security.json.new'), '{"cli');
    for (const place of [turnedOver, replaced]) {
      const after = await openEngine(place);
      expect(await describeState(after)).toBe(expected);
      await carryOut(after, { command: 'createRole', rolename: 'new' });
      await after.close();
      expect((await openEngine(place)).counts().roles).toBe(2);
    }
    expect(existsSync(join(replaced, 'dynamic-security.json.new'))).toBe(false);
  });
});
