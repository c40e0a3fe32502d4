// Whatever comes in: payloads never throw, and a filter never lets through what it should not.
import { compileFilter, covers, takeApart } from '@keyline/mqtt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileAclFilter, isAclTopic } from '../src/acl-filter.ts';
import { parsePayload } from '../src/execute.ts';
import { normalizeSerial } from '../src/serial.ts';
import { SortedNames } from '../src/sorted-names.ts';
import { answersOf, openEngine } from './engine-fixture.ts';

const names = ['createClient', 'modifyClient', 'deleteClient', 'createRole', 'addRoleACL', 'x'];
const fields = [
  'username',
  'rolename',
  'groupname',
  'roles',
  'groups',
  'acls',
  'topic',
  'priority',
];
fields.push('acltype', 'allow', 'serials', 'count', 'offset', 'verbose', 'correlationData');
const command = fc.oneof(
  fc.anything(),
  fc.record({
    command: fc.oneof(
      fc.constantFrom(...names, 'revokeCertificates', 'listClients'),
      fc.anything(),
    ),
    rest: fc.dictionary(
      fc.constantFrom(...fields),
      fc.oneof(fc.anything(), fc.constantFrom('a', 'b')),
    ),
  }),
);

const levels = fc.array(
  fc.constantFrom('a', 'b', '', '+', '#', '%u', '%c', '$x', 'dev1', 'dev12'),
  {
    minLength: 1,
    maxLength: 5,
  },
);
const filters = levels.map((list) => list.join('/')).filter(isAclTopic);
const device = { username: 'dev1', clientId: 'b' };
const topics = fc
  .array(fc.constantFrom('a', 'b', '', '$x', 'dev1', 'dev12'), { minLength: 1, maxLength: 5 })
  .map((list) => list.join('/'))
  .filter((topic) => topic !== '');

describe('Payloads', () => {
  it('of any bytes are answered, never thrown at', async () => {
    const engine = await openEngine();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const executed = await engine.execute(bytes, { username: 'a', clientId: 'a' });
        expect(answersOf(executed)).toBeInstanceOf(Array);
      }),
    );
  });

  it('of any JSON are answered, at most once per command', async () => {
    const engine = await openEngine();
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 8 }), async (commands) => {
        const flat = commands.map((entry) =>
          typeof entry === 'object' && entry !== null && 'rest' in entry
            ? {
                ...(entry as { rest: object }).rest,
                command: (entry as { command?: unknown }).command,
              }
            : entry,
        );
        let text: string;
        try {
          text = JSON.stringify({ commands: flat }, (_key, value: unknown) =>
            typeof value === 'bigint' ? Number(value) : value,
          );
        } catch {
          return; // not expressible in JSON
        }
        const executed = await engine.execute(Buffer.from(text), { username: 'a', clientId: 'a' });
        expect(answersOf(executed).length).toBeLessThanOrEqual(commands.length);
      }),
      { numRuns: 300 },
    );
  });

  it('parse deep nesting without running out of stack', () => {
    const deep = Buffer.from(`{"commands":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
    const parsed = parsePayload(deep);
    expect('commands' in parsed ? parsed.commands.length : parsed.error).toBe(1);
  });
});

describe('Filters', () => {
  /** MQTT 5 §4.7 written down once more, by regular expression. */
  function expected(filter: string, topic: string, username: string, clientId: string): boolean {
    if (filter.startsWith('$') !== topic.startsWith('$')) return false;
    const parts = filter.split('/').map((level) => {
      if (level === '+') return '[^/]*';
      if (level === '%u') return username;
      if (level === '%c') return clientId;
      return level.replaceAll('$', '\\$');
    });
    const open = parts.at(-1) === '#';
    if (open) parts.pop();
    const head = parts.join('/');
    const tail = open ? (parts.length === 0 ? '.*' : '(/.*)?') : '';
    return new RegExp(`^${head}${tail}$`).test(topic);
  }

  it('match topics as MQTT says, with %u and %c for whole levels', () => {
    fc.assert(
      fc.property(filters, topics, (filter, topic) => {
        expect(covers(compileAclFilter(filter).filter, takeApart(topic), device)).toBe(
          expected(filter, topic, 'dev1', 'b'),
        );
      }),
      { numRuns: 3000 },
    );
  });

  it('cover a subscription only when they cover every topic it can bring', () => {
    fc.assert(
      fc.property(filters, filters, topics, (filter, asked, topic) => {
        // In what is asked for, %u is plain text.
        fc.pre(!asked.includes('%'));
        const acl = compileAclFilter(filter).filter;
        if (!covers(acl, takeApart(asked), device)) return;
        if (covers(compileFilter(asked), takeApart(topic), {})) {
          expect(covers(acl, takeApart(topic), device)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('never let a name that is no plain level through %u', () => {
    const acl = compileAclFilter('t/%u').filter;
    for (const name of ['+', '#', '', 'a/b', undefined]) {
      for (const asked of ['t/+', 't/#', 't/', 't/a/b', 't']) {
        expect(covers(acl, takeApart(asked), { username: name, clientId: 'c' })).toBe(false);
      }
    }
  });
});

describe('Serials', () => {
  it('have one normal form per number', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 160n - 1n }), fc.nat(3), (serial, zeros) => {
        const hex = serial.toString(16);
        const normal = normalizeSerial(hex);
        expect(normal).toMatch(/^(?:[0-9a-f]{2})+$/);
        expect(BigInt(`0x${normal}`)).toBe(serial);
        expect(normalizeSerial(`${'0'.repeat(zeros)}${hex.toUpperCase()}`)).toBe(normal);
      }),
    );
  });
});

describe('Sorted names', () => {
  it('are those that were added and not deleted, in order', () => {
    const step = fc.tuple(fc.boolean(), fc.string({ maxLength: 2 }));
    fc.assert(
      fc.property(fc.array(step), fc.nat(5), (steps, readEvery) => {
        const sorted = new SortedNames();
        const set = new Set<string>();
        for (const [at, [adds, name]] of steps.entries()) {
          if (adds && !set.has(name)) sorted.add(name);
          if (!adds && set.has(name)) sorted.delete(name);
          if (adds) set.add(name);
          else set.delete(name);
          if (at % (readEvery + 1) === 0) sorted.all();
        }
        expect(sorted.all()).toEqual([...set].sort());
      }),
    );
  });

  it('stay right over many', () => {
    const sorted = new SortedNames();
    for (let at = 0; at < 10_000; at += 1) sorted.add(`n${(at * 7919) % 10_000}`);
    for (let at = 0; at < 5000; at += 1) sorted.delete(`n${at}`);
    const all = sorted.all();
    expect(all).toHaveLength(5000);
    expect(all).toEqual([...all].sort());
  });
});
