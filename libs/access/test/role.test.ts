import fc from 'fast-check';
import { expect, it } from 'vitest';
import { topicsFor, type Role, type TopicValues } from '../src/index.ts';

const named = (id: string): TopicValues => ({ id, type: 'default', batch: null, labels: {} });

const role: Role = {
  name: 'device',
  description: 'A device.',
  publish: ['devices/%u/telemetry', 'all/%u/of/%u', 'plain/+/#'],
  subscribe: ['devices/%u/commands/#'],
};

it('fills every %u with the device id, and leaves wildcards and other text', () => {
  expect(topicsFor(role, named('d1'))).toEqual({
    publish: ['devices/d1/telemetry', 'all/d1/of/d1', 'plain/+/#'],
    subscribe: ['devices/d1/commands/#'],
  });
});

it('takes the id as text, also where it looks like a replacement pattern', () => {
  for (const id of ['$&', '$1', "$'", '%u']) {
    expect(topicsFor(role, named(id)).subscribe).toEqual([`devices/${id}/commands/#`]);
  }
});

it('leaves the role as it was', () => {
  const before = structuredClone(role);
  topicsFor(role, named('d1'));
  expect(role).toEqual(before);
});

it('gives each device its own level and no other', () => {
  const ids = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,20}$/);
  fc.assert(
    fc.property(ids, (id) => {
      const [filter = ''] = topicsFor(role, named(id)).subscribe;
      expect(filter.split('/')).toEqual(['devices', id, 'commands', '#']);
    }),
  );
});
