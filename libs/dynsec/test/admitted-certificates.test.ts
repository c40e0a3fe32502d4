// Which certificates of a client are on the issuing CA's list (admitCertificates), and what becomes of those before a successor.
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DynsecEngine } from '../src/index.ts';
import { answersOf, carryOut, execute, openEngine, temporaryFolder } from './engine-fixture.ts';

const admit = (username: string, serial: string, predecessor?: string | null): object => ({
  command: 'admitCertificates',
  certificates: [{ username, serial, ...(predecessor === undefined ? {} : { predecessor }) }],
});

const listOf = async (engine: DynsecEngine, username: string): Promise<unknown> => {
  const [{ data }] = answersOf(await execute(engine, { command: 'getClient', username }));
  return data.client.serials;
};

const reportsOf = async (engine: DynsecEngine, after = 0) => {
  const [{ data }] = answersOf(await execute(engine, { command: 'getCertificateReports', after }));
  return data;
};

/** As it is after the process was killed. */
const afterCrash = (folder: string): Promise<DynsecEngine> => {
  const crashed = temporaryFolder();
  cpSync(folder, crashed, { recursive: true });
  return openEngine(crashed);
};

describe('A list of certificates', () => {
  it('is kept for who got one, and any certificate of the name will do for others', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createClient', username: 'd1', serials: ['0A:0B', '0c'] },
      { command: 'createClient', username: 'service' },
      admit('nobody', '01'),
    );
    expect(engine.checkCertificate('d1', '0a0b')).toBe('listed');
    expect(engine.checkCertificate('d1', '0C')).toBe('listed');
    expect(engine.checkCertificate('d1', '0d')).toBe('unlisted');
    expect(engine.checkCertificate('d1', 'no serial')).toBe('unlisted');
    expect(engine.checkCertificate('service', '0d')).toBe('no list');
    expect(engine.checkCertificate('nobody', '01')).toBe('no list');
  });

  it('grows behind what is there, once, without ending a session, and is not counted as a change of rights', async () => {
    const engine = await openEngine();
    await carryOut(engine, { command: 'createClient', username: 'd1', serials: ['01'] });
    const { changeIndex } = engine.counts();
    const executed = await execute(engine, admit('d1', '02'), admit('d1', '01'), admit('d1', '02'));
    expect(executed.kicks.usernames.size).toBe(0);
    expect(executed.rightsChanged).toBe(false);
    expect(engine.counts().changeIndex).toBe(changeIndex);
    expect(await listOf(engine, 'd1')).toEqual(['01', '02']);
  });

  it('is bounded', async () => {
    const engine = await openEngine();
    await carryOut(engine, { command: 'createClient', username: 'd1' });
    for (let n = 16; n < 100; n += 1) await carryOut(engine, admit('d1', n.toString(16)));
    const [{ data }] = answersOf(await execute(engine, { command: 'getClient', username: 'd1' }));
    expect(data.client.serials).toHaveLength(8);
    expect(data.client.serials.at(-1)).toBe('63');
  });

  it.each([
    { command: 'admitCertificates' },
    { command: 'admitCertificates', certificates: ['01'] },
    { command: 'admitCertificates', certificates: [null] },
    { command: 'admitCertificates', certificates: [{ username: 'd1' }] },
    { command: 'admitCertificates', certificates: [{ serial: '01' }] },
    { command: 'admitCertificates', certificates: [{ username: 'd1', serial: 'x' }] },
    {
      command: 'admitCertificates',
      certificates: [{ username: 'd1', serial: '01', predecessor: 5 }],
    },
    { command: 'createClient', username: 'd2', serials: 'x' },
    { command: 'createClient', username: 'd2', serials: [5] },
  ])('is not changed by %j', async (command) => {
    const engine = await openEngine();
    await carryOut(engine, { command: 'createClient', username: 'd1', serials: ['07'] });
    const [{ error }] = answersOf(await execute(engine, command));
    expect(error).toMatch(/^Invalid/);
    expect(engine.checkCertificate('d1', '07')).toBe('listed');
    expect(engine.checkCertificate('d1', '01')).toBe('unlisted');
    expect(engine.checkIdentity('d2')).toBe('unknown');
  });
});

describe('A successor', () => {
  it('that is used ends what was before it, for good: through a restart, and a crash', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    await carryOut(
      engine,
      { command: 'createClient', username: 'd1', serials: ['01'] },
      admit('d1', '02'),
      admit('d1', '03'),
    );
    expect(engine.noteUse('d1', '01', '::1')).toEqual([]);
    expect(engine.checkCertificate('d1', '03')).toBe('listed');
    expect(engine.noteUse('d1', '02', '::1')).toEqual(['01']);
    expect(engine.checkCertificate('d1', '01')).toBe('unlisted');
    // Its own successor stays.
    expect(engine.checkCertificate('d1', '03')).toBe('listed');
    // What is durable after it is durable with it.
    await carryOut(engine, { command: 'createRole', rolename: 'later' });
    const crashed = temporaryFolder();
    cpSync(folder, crashed, { recursive: true });
    for (const place of [crashed, folder]) {
      if (place === folder) await engine.close();
      const again = await openEngine(place);
      expect(again.checkCertificate('d1', '01')).toBe('unlisted');
      expect(again.checkCertificate('d1', '02')).toBe('listed');
    }
    const file = readFileSync(join(folder, 'dynamic-security.json'), 'utf8');
    expect(JSON.parse(file).clients[0].serials).toEqual(['02', '03']);
  });

  it.each([
    // [what is listed, its serial, its predecessor, what is listed then]
    [['01'], '02', '01', ['01', '02']],
    [['01', '02'], '02', '01', ['01', '02']],
    [['00', '01', '02'], '02', '01', ['01', '02']],
    [['00', '01'], '02', '01', ['01', '02']],
    [['01', '02'], '02', null, ['02']],
    [['01', '02', '03'], '02', null, ['02', '03']],
    [['02'], '02', null, ['02']],
    // What was ended here by itself stays ended.
    [['02'], '02', '01', ['02']],
    [['02', '03'], '02', '01', ['02', '03']],
    [[], '02', '01', ['01', '02']],
    [[], '02', null, ['02']],
  ] as const)('on %j, %s after %s leaves %j', async (listed, serial, predecessor, left) => {
    const engine = await openEngine();
    await carryOut(engine, { command: 'createClient', username: 'd1', serials: listed });
    const executed = await execute(engine, admit('d1', serial, predecessor));
    expect(answersOf(executed)[0]).not.toHaveProperty('data');
    expect(await listOf(engine, 'd1')).toEqual(left);
    // Sessions of what is gone are cut, and no others.
    const gone = listed.filter((one) => !(left as readonly string[]).includes(one));
    expect([...executed.kicks.superseded]).toEqual(gone.length === 0 ? [] : [['d1', gone]]);
    expect(executed.kicks.usernames.size + executed.kicks.serials.size).toBe(0);
  });

  it('of a past that the list does not know leaves it alone and says so, until it is asked for anew', async () => {
    const engine = await openEngine();
    await carryOut(engine, { command: 'createClient', username: 'd1', serials: ['07', '08'] });
    for (const predecessor of ['01', null]) {
      const executed = await execute(engine, admit('d1', '02', predecessor));
      expect(answersOf(executed)[0].data).toEqual({
        passedOver: [{ username: 'd1', serials: ['07', '08'] }],
      });
    }
    expect(await listOf(engine, 'd1')).toEqual(['07', '08']);
    const anew = { username: 'd1', serial: '02', predecessor: '01', anew: true };
    const executed = await execute(engine, { command: 'admitCertificates', certificates: [anew] });
    expect(await listOf(engine, 'd1')).toEqual(['01', '02']);
    expect(executed.kicks.superseded.get('d1')).toEqual(['07', '08']);
  });

  it('and a certificate that is not listed are reported, the newest of each, as often as asked for', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createClient', username: 'd1', serials: ['01'] },
      admit('d1', '02'),
    );
    engine.noteUse('d1', '02', '192.0.2.1');
    for (let times = 0; times < 2000; times += 1) engine.reportUnlisted('d1', '01', '192.0.2.2');
    const { reports, last } = await reportsOf(engine);
    const used = { kind: 'used', username: 'd1', serial: '02', address: '192.0.2.1' };
    expect(reports).toEqual([
      used,
      { n: last, kind: 'unlisted', username: 'd1', serial: '01', address: '192.0.2.2' },
    ]);
    expect((await reportsOf(engine, last)).reports).toEqual([used]);
  });
});

describe('The use of a successor', () => {
  const uses = [{ username: 'd1', serial: '02' }];
  const settle = (...some: object[]): object => ({ command: 'settleCertificateUses', uses: some });

  it('is told through crashes and restarts until it is settled, and then no more', async () => {
    const folder = temporaryFolder();
    let engine = await openEngine(folder);
    await carryOut(engine, { command: 'createClient', username: 'd1', serials: ['01', '02'] });
    engine.noteUse('d1', '02', '::1');
    await carryOut(engine, { command: 'createRole', rolename: 'later' });
    const told = [{ kind: 'used', username: 'd1', serial: '02', address: '::1' }];
    const crashed = await afterCrash(folder);
    expect((await reportsOf(crashed)).reports).toEqual(told);
    await engine.close();
    engine = await openEngine(folder);
    expect((await reportsOf(engine)).reports).toEqual(told);
    const { changeIndex } = engine.counts();
    await carryOut(
      engine,
      settle({ username: 'd1', serial: '01' }, { username: 'd2', serial: '02' }),
    );
    expect((await reportsOf(engine)).reports).toEqual(told);
    await carryOut(engine, settle(...uses), settle(...uses));
    expect((await reportsOf(engine)).reports).toEqual([]);
    expect(engine.counts().changeIndex).toBe(changeIndex);
    expect((await reportsOf(await afterCrash(folder))).reports).toEqual([]);
    await engine.close();
    expect((await reportsOf(await openEngine(folder))).reports).toEqual([]);
  });

  it('holds for a client that is made anew before it is settled: what it ended does not come back', async () => {
    const engine = await openEngine();
    await carryOut(engine, { command: 'createClient', username: 'd1', serials: ['01', '02'] });
    engine.noteUse('d1', '02', '');
    await carryOut(
      engine,
      { command: 'deleteClient', username: 'd1' },
      { command: 'createClient', username: 'd1', serials: ['01', '02'] },
    );
    expect(await listOf(engine, 'd1')).toEqual(['02']);
    await carryOut(engine, admit('d1', '02', '01'));
    expect(await listOf(engine, 'd1')).toEqual(['02']);
  });

  it('takes the place of the one before, and is told with at most 1,000 at once', async () => {
    const engine = await openEngine();
    const names = Array.from({ length: 1001 }, (_, n) => `d${String(n)}`);
    await carryOut(
      engine,
      ...names.map((username) => ({
        command: 'createClient',
        username,
        serials: ['01', '02', '03'],
      })),
    );
    for (const name of names) engine.noteUse(name, '02', '');
    engine.noteUse('d1', '03', '');
    const { reports } = await reportsOf(engine);
    expect(reports).toHaveLength(1000);
    expect(reports[1]).toMatchObject({ username: 'd1', serial: '03' });
    await carryOut(engine, settle(...uses, { username: 'd0', serial: '02' }));
    const names2 = (await reportsOf(engine)).reports.map(
      ({ username }: { username: string }) => username,
    );
    expect(names2).toContain('d1');
    expect(names2).toContain('d1000');
  });

  it.each([
    {},
    { uses: 'x' },
    { uses: [5] },
    { uses: [{ username: 'd1' }] },
    { uses: [{ username: 'd1', serial: 'x' }] },
  ])('is not settled by %j', async (fields) => {
    const engine = await openEngine();
    await carryOut(engine, { command: 'createClient', username: 'd1', serials: ['01', '02'] });
    engine.noteUse('d1', '02', '');
    const [{ error }] = answersOf(
      await execute(engine, { command: 'settleCertificateUses', ...fields }),
    );
    expect(error).toMatch(/^Invalid/);
    expect((await reportsOf(engine)).reports).toHaveLength(1);
  });
});
