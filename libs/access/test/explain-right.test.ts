import { describe, expect, it } from 'vitest';
import { explainRight, type Role, type TopicAction } from '../src/index.ts';

const role: Role = {
  name: 'site',
  description: '',
  publish: ['devices/%u/telemetry', 'sites/%{label:site}/%u/up'],
  subscribe: ['devices/%u/commands/#', 'config/global/#', '$share/workers/jobs/+'],
  source: {
    file: 'roles/site.yaml',
    line: 2,
    lists: { publish: 4, subscribe: 7 },
    publish: [5, 6],
    subscribe: [8, 9, 10],
  },
};
const explain = (action: TopicAction, topic: string, labels: Record<string, string> = {}) =>
  explainRight(role, { id: 'p1', type: 'default', batch: null, labels }, { action, topic });

describe('explainRight', () => {
  it.each([
    ['publish', 'devices/p1/telemetry', 5],
    ['subscribe', 'devices/p1/commands', 8],
    ['subscribe', 'devices/p1/commands/+/now', 8],
    ['subscribe', 'config/global/#', 9],
    ['subscribe', '$share/workers/jobs/a', 10],
  ] as const)('allows to %s %s, by the line that does', (action, topic, line) => {
    expect(explain(action, topic)).toMatchObject({ verdict: 'allowed', by: { line } });
  });

  it.each([
    ['publish', 'devices/p1/events'],
    ['publish', 'devices/p1/telemetry/x'],
    ['subscribe', 'devices/p1/telemetry'],
    ['subscribe', 'config/#'],
    ['subscribe', 'jobs/a'],
    ['subscribe', '$share/others/jobs/a'],
  ] as const)('denies to %s %s, and says what is missing', (action, topic) => {
    const said = explain(action, topic);
    expect(said).toMatchObject({
      verdict: 'denied',
      reason: expect.stringContaining('No filter of the role "site"') as string,
      missing: topic.replaceAll('p1', '%u'),
    });
  });

  it('says of the topic of another that it is another’s', () => {
    expect(explain('publish', 'devices/p2/telemetry')).toMatchObject({
      verdict: 'denied',
      reason: expect.stringContaining('is another’s'.replace('’', "'")) as string,
    });
  });

  it('says which label is missing where that is why', () => {
    expect(explain('publish', 'sites/north/p1/up')).toMatchObject({
      verdict: 'denied',
      reason: expect.stringContaining('it has no label "site", so it is closed') as string,
      closed: [{ line: 6, why: 'it has no label "site"' }],
    });
    expect(explain('publish', 'sites/north/p1/up', { site: 'north' }).verdict).toBe('allowed');
    expect(explain('publish', 'sites/south/p1/up', { site: 'north' }).verdict).toBe('denied');
  });

  it('says what can be no topic at all, and promises nothing for it', () => {
    for (const [action, topic] of [
      ['publish', 'devices/+/telemetry'],
      ['publish', ''],
      ['subscribe', 'a/#/b'],
      ['subscribe', '$SYS/#'],
      ['subscribe', '$share/g'],
      ['publish', '$share/workers/jobs/a'],
    ] as const) {
      const said = explain(action, topic);
      expect(said).toMatchObject({ verdict: 'denied', closed: [] });
      expect(said).not.toHaveProperty('missing');
    }
  });
});
