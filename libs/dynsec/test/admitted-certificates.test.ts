// Which certificates of a client are on the issuing CA's list (admitCertificates), and what becomes of those before a successor.
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { answersOf, carryOut, execute, openEngine, temporaryFolder } from './engine-fixture.ts';

const admit = (username: string, serial: string, predecessor?: string): object => ({
  command: 'admitCertificates',
  certificates: [{ username, serial, ...(predecessor === undefined ? {} : { predecessor }) }],
});

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
    const [{ data }] = answersOf(await execute(engine, { command: 'getClient', username: 'd1' }));
    expect(data.client.serials).toEqual(['01', '02']);
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

  it('that was put on the list with its predecessor leaves that one open until it is used', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createClient', username: 'd1', serials: ['05'] },
      admit('d1', '05', '04'),
    );
    expect(engine.checkCertificate('d1', '04')).toBe('listed');
    expect(engine.noteUse('d1', '05', '')).toEqual(['04']);
    expect(engine.checkCertificate('d1', '04')).toBe('unlisted');
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
    const ask = async (after: number) => {
      const [{ data }] = answersOf(
        await execute(engine, { command: 'getCertificateReports', after }),
      );
      return data;
    };
    const { reports, last } = await ask(0);
    expect(reports).toEqual([
      { n: 1, kind: 'used', username: 'd1', serial: '02', address: '192.0.2.1' },
      { n: last, kind: 'unlisted', username: 'd1', serial: '01', address: '192.0.2.2' },
    ]);
    expect((await ask(last)).reports).toEqual([]);
  });
});
