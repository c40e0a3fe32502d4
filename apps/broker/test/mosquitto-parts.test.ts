// What the supervisor decides without a Mosquitto: when to reload and how, and what goes into the state file.
import { Readable, Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { prepareState } from '../src/mosquitto/dynsec-file.ts';
import { KeptSessions } from '../src/mosquitto/kept-sessions.ts';
import { LogLines, readConnected, type ConnectedClient } from '../src/mosquitto/log-lines.ts';
import { ReloadPlan } from '../src/mosquitto/reload-plan.ts';

const log = pino({ level: 'silent' });

describe('whether a session is kept for somebody who is not connected', () => {
  const arrives = (id: string, how: string): ConnectedClient =>
    readConnected(`New client connected from 127.0.0.1:41612 as ${id} (${how}, k60, u'${id}').`)!;
  let kept: KeptSessions;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
    kept = new KeptSessions();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is not known before the first figures, nor after a start', () => {
    expect(kept.noneIsOffline).toBe(false);
    kept.onFigures(0);
    expect(kept.noneIsOffline).toBe(true);
    kept.reset();
    expect(kept.noneIsOffline).toBe(false);
  });

  it.each([
    // Mosquitto's numbers: 1 is MQTT 3.1, and 2 is 3.1.1.
    ['p1, c1', true],
    ['p2, c1', true],
    ['p2, c0', false],
    ['p5, c1', false],
    ['p5, c0', false],
  ])('is decided by how it came: (%s)', (how, none) => {
    kept.onFigures(0);
    kept.connected(arrives('pump-1', how));
    expect(kept.noneIsOffline).toBe(true);
    kept.read('Client pump-1 closed its connection.');
    expect(kept.noneIsOffline).toBe(none);
    // Back, and so not offline any more.
    kept.connected(arrives('pump-1', how));
    expect(kept.noneIsOffline).toBe(true);
  });

  it.each([
    'Client a b (p5) disconnected.',
    'Client a b (p5) disconnected, not authorised.',
    'Client a b (p5) disconnected due to protocol error.',
    'Client a b (p5) disconnected: Connection reset by peer.',
    'Client a b (p5) been disconnected by administrative action.',
    'Client a b (p5) closed its connection.',
    'Client a b (p5) has exceeded timeout, disconnecting.',
    'Client a b (p5) already connected, closing old connection.',
    'Bad socket read/write on client a b (p5): Connection reset by peer',
    'Client a b (p5) left in words of a version to come.',
  ])('follows the log: %s', (line) => {
    kept.onFigures(0);
    kept.connected(arrives('a b (p5)', 'p2, c0'));
    kept.read(line);
    expect(kept.noneIsOffline).toBe(false);
    // These may be from before it left.
    vi.advanceTimersByTime(400);
    kept.onFigures(0);
    expect(kept.noneIsOffline).toBe(false);
    vi.advanceTimersByTime(2000);
    kept.onFigures(0);
    expect(kept.noneIsOffline).toBe(true);
  });

  it.each([
    'Client <unknown> disconnected due to protocol error.',
    'Client connection from 127.0.0.1 failed: error:1417C0C7:SSL routines.',
    'dynsec: supervisor@x/supervisor@x | getClient | username=pump-1',
    'OpenSSL Error[0]: error:1417C086:SSL routines:tls_process_client_certificate:certificate verify failed',
    'New connection from 127.0.0.1:41612 on port 8883.',
    'Client pump-1 closed its connection.',
    'Client pump-1 been disconnected by administrative action.',
  ])('has nothing to do with who left nothing: %s', (line) => {
    kept.onFigures(0);
    kept.read(line);
    expect(kept.noneIsOffline).toBe(true);
  });

  it('follows the figures, from which handshakes are taken away', () => {
    kept.onFigures(-3);
    expect(kept.noneIsOffline).toBe(true);
    kept.onFigures(2);
    expect(kept.noneIsOffline).toBe(false);
  });
});

describe('a reload', () => {
  let done: string[];
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    done = [];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** What is known between figures. */
  let noneIsOffline: boolean;
  beforeEach(() => {
    noneIsOffline = false;
  });

  function plan(hangUpIsSafe: boolean, restartsAtOnce = 1): ReloadPlan {
    return new ReloadPlan({
      hangUpIsSafe,
      noneIsOffline: () => noneIsOffline,
      hangUpEvery: () => 400,
      restartEvery: 60_000,
      restartsAtOnce,
      log,
      hangUp: () => done.push('SIGHUP'),
      restart: (reason) => done.push(`restart: ${reason}`),
    });
  }

  it('is a SIGHUP at once where that is safe', () => {
    plan(true).request('CRL 2', 0);
    expect(done).toEqual(['SIGHUP']);
  });

  it('is a SIGHUP on 2.0 when the next figures say that no session is offline', () => {
    const reload = plan(false);
    reload.request('CRL 2', 0);
    vi.advanceTimersByTime(1900);
    expect(done).toEqual([]);
    reload.onFigures(0);
    expect(done).toEqual(['SIGHUP']);
    reload.onFigures(0);
    vi.advanceTimersByTime(600_000);
    expect(done).toEqual(['SIGHUP']);
  });

  it('is a SIGHUP at once on 2.0 when it is known already that no session is offline, and not too often', () => {
    const reload = plan(false);
    noneIsOffline = true;
    reload.request('CRL 2', 0);
    expect(done).toEqual(['SIGHUP']);
    reload.request('CRL 3', 0);
    reload.request('CRL 4', 0);
    vi.advanceTimersByTime(390);
    expect(done).toEqual(['SIGHUP']);
    vi.advanceTimersByTime(20);
    expect(done).toEqual(['SIGHUP', 'SIGHUP']);
    expect(reload.isWaiting).toBe(false);
    // Somebody left while it waited its turn.
    reload.request('CRL 5', 0);
    noneIsOffline = false;
    vi.advanceTimersByTime(1000);
    expect(done).toHaveLength(2);
    reload.onFigures(0);
    expect(done).toEqual(['SIGHUP', 'SIGHUP', 'SIGHUP']);
  });

  it('is a restart on 2.0 while one is, and what comes within a minute is told by one more', () => {
    const reload = plan(false);
    reload.request('CRL 2', 0);
    reload.onFigures(3);
    vi.advanceTimersByTime(1);
    expect(done).toEqual(['restart: CRL 2']);
    reload.onStarting();
    for (const number of [3, 4, 5]) {
      vi.advanceTimersByTime(10_000);
      reload.request(`CRL ${number}`, 0);
      reload.onFigures(3);
    }
    vi.advanceTimersByTime(29_900);
    expect(done).toHaveLength(1);
    expect(reload.isWaiting).toBe(true);
    vi.advanceTimersByTime(200);
    expect(done).toEqual(['restart: CRL 2', 'restart: CRL 3, CRL 4, CRL 5']);
    expect(reload.isWaiting).toBe(false);
  });

  it('is a restart at once for the first three, then one a minute', () => {
    const reload = plan(false, 3);
    const restarts: number[] = [];
    for (let second = 0; second < 300; second += 1) {
      // A revocation every five seconds, and figures every two.
      if (second % 5 === 0) reload.request('CRL', 0);
      if (second % 2 === 1) reload.onFigures(3);
      const before = done.length;
      vi.advanceTimersByTime(1000);
      if (done.length > before) restarts.push(second);
    }
    expect(restarts).toHaveLength(7);
    expect(restarts.slice(0, 3)).toEqual([1, 5, 11]);
    // What was spent at once is paid for by the distance of the rest.
    expect(
      restarts.slice(3).every((second, index) => Math.abs(second - 60 * (index + 1)) < 6),
    ).toBe(true);
  });

  it('is a restart on 2.0 when no figures come at all', () => {
    const reload = plan(false);
    reload.request('CRL 2', 0);
    vi.advanceTimersByTime(5900);
    expect(done).toEqual([]);
    vi.advanceTimersByTime(200);
    expect(done).toEqual(['restart: CRL 2']);
  });

  it('that can wait is a restart only after its patience, counted from the first', () => {
    const reload = plan(false);
    reload.request('CRL 2', 1_000_000);
    reload.onFigures(1);
    vi.advanceTimersByTime(900_000);
    reload.request('CRL 3', 5_000_000);
    reload.onFigures(1);
    expect(done).toEqual([]);
    vi.advanceTimersByTime(100_100);
    expect(done).toEqual(['restart: CRL 2, CRL 3']);
  });

  it('is not needed any more when Mosquitto was started for another reason', () => {
    const reload = plan(false);
    reload.request('CRL 2', 0);
    reload.onStarting();
    vi.advanceTimersByTime(600_000);
    expect(done).toEqual([]);
  });
});

describe('the state file', () => {
  const login = { username: 'supervisor@1', password: 'secret' };
  const prepare = (state: object | undefined, admins: readonly string[] = ['keyline@service']) =>
    JSON.parse(
      prepareState(state === undefined ? undefined : JSON.stringify(state), { admins, login })!,
    );

  it('begins with the admins, without passwords, and with nothing allowed but to unsubscribe', () => {
    const state = prepare(undefined, ['keyline@service', 'admin@keyline']);
    expect(state.defaultACLAccess).toEqual({
      publishClientSend: false,
      publishClientReceive: false,
      subscribe: false,
      unsubscribe: true,
    });
    const admin = { roles: [{ rolename: 'keyline-admin' }] };
    expect(state.clients).toEqual([
      expect.objectContaining({ username: 'supervisor@1' }),
      { username: 'keyline@service', ...admin },
      { username: 'admin@keyline', ...admin },
    ]);
    expect(JSON.stringify(state)).not.toContain('secret');
  });

  it('keeps what is there, and puts clients into the order that Mosquitto reads fast', () => {
    const names = ['a1', 'a10', 'a2', 'B', 'z'];
    const roles = [{ rolename: 'device', acls: [] }];
    const state = prepare({
      clients: names.map((username) => ({ username, roles: [{ rolename: 'device' }] })),
      groups: [{ groupname: 'g', clients: [{ username: 'a1' }, { username: 'z' }] }],
      roles,
      anonymousGroup: 'g',
    });
    expect(state.clients.map(({ username }: { username: string }) => username)).toEqual([
      'z',
      'supervisor@1',
      'keyline@service',
      'a2',
      'a10',
      'a1',
      'B',
    ]);
    expect(state.groups[0].clients).toEqual([{ username: 'z' }, { username: 'a1' }]);
    expect(state.roles).toEqual(expect.arrayContaining(roles));
    expect(state.anonymousGroup).toBe('g');
  });

  it('gives an admin back what an admin needs, once, and forgets supervisors of before', () => {
    const before = prepare({
      clients: [
        { username: 'keyline@service', disabled: true, roles: [{ rolename: 'other' }] },
        { username: 'supervisor@0', roles: [] },
      ],
      roles: [{ rolename: 'keyline-admin', acls: [] }],
    });
    const state = prepare(before);
    expect(state.clients).toEqual([
      expect.objectContaining({ username: 'supervisor@1' }),
      {
        username: 'keyline@service',
        roles: [{ rolename: 'other' }, { rolename: 'keyline-admin' }],
      },
    ]);
    const admin = state.roles.find(
      ({ rolename }: { rolename: string }) => rolename === 'keyline-admin',
    );
    expect(admin.acls).toHaveLength(4);
  });

  it.each(['', '[]', '{"clients":', 'null'])('is not made of %j', (text) => {
    expect(prepareState(text, { admins: [], login })).toBeUndefined();
  });
});

describe('what Mosquitto logs', () => {
  it.each([
    [
      'Client pump-1 disconnected due to oversize packet.',
      /^Client pump-1 .*At most 2048 bytes of one packet.*--max-packet-size/,
    ],
    ['Client <unknown> disconnected due to protocol error.', /WebSocket.*mqtts:\/\//],
    ['OpenSSL Error[0]: error:1408F09C:SSL routines:ssl3_get_record:http request', /speaks HTTP/],
    [
      'OpenSSL Error[0]: error:1408F10B:SSL routines:ssl3_get_record:wrong version number',
      /MQTT without it: use mqtts:\/\//,
    ],
  ])('is told with what to do: %s', async (line, said) => {
    const lines: string[] = [];
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(...chunk.toString().trimEnd().split('\n'));
        done();
      },
    });
    const events = { onConnected: () => undefined, onLine: () => undefined };
    new LogLines(pino(stream), events, { maxPacketSize: 2048 }).follow(
      Readable.from([`${line}\n`]),
    );
    await expect.poll(() => lines).toHaveLength(1);
    const { level, msg } = JSON.parse(lines[0] ?? '') as { level: number; msg: string };
    expect(level).toBe(40);
    expect(msg).toMatch(said);
  });
});
