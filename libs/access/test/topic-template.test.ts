import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillTopic, topicsFor, type Role, type TopicValues } from '../src/index.ts';

const pump: TopicValues = {
  id: 'pump-1',
  type: 'sensor',
  batch: 'lot-7',
  labels: { site: 'north', 'line.no': '3' },
};
const fill = (filter: string, values = pump): unknown => fillTopic(filter, values);

describe('fillTopic', () => {
  it('fills name, type, batch and labels, each as one level', () => {
    expect(fill('sites/%{label:site}/devices/%u')).toEqual({
      filter: 'sites/north/devices/pump-1',
    });
    expect(fill('%{type}/%{batch}/%{label:line.no}/#')).toEqual({ filter: 'sensor/lot-7/3/#' });
    expect(fillTopic('%{type}/%u', pump, { keepsUser: true })).toEqual({ filter: 'sensor/%u' });
  });

  it('closes the right of whoever has no such label or batch, and does not open it', () => {
    expect(fill('a/%{label:hall}/#')).toEqual({ closed: 'it has no label "hall"' });
    expect(fill('a/%{batch}', { ...pump, batch: null })).toEqual({ closed: 'it has no batch' });
    // What every object has is no label.
    expect(fill('a/%{label:constructor}')).toEqual({ closed: 'it has no label "constructor"' });
  });

  it.each([
    '',
    '+',
    '#',
    'a/b',
    'a+',
    '$SYS',
    'x$',
    '%u',
    '%c',
    'a\u0000',
    'a\nb',
    'a\ud800',
    '\ufdd0',
  ])('closes the right where the label is %j', (site) => {
    expect(fill('a/%{label:site}', { ...pump, labels: { site } })).toHaveProperty('closed');
  });

  it('never gives a label more than its one level, whatever stands in it', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[+#/$%a]{1,4}$/));
    fc.assert(
      fc.property(text, (site) => {
        const filled = fillTopic('sites/%{label:site}/up', { ...pump, labels: { site } });
        if ('closed' in filled) return;
        const levels = filled.filter.split('/');
        expect(levels).toEqual(['sites', site, 'up']);
        expect(site).not.toMatch(/[+#$%/\p{Cc}]/u);
        expect(site).not.toBe('');
      }),
    );
  });
});

it('tells a device its topics without those that are closed to it', () => {
  const role: Role = {
    name: 'site',
    description: '',
    publish: ['sites/%{label:site}/devices/%u', 'halls/%{label:hall}/%u'],
    subscribe: ['%{label:hall}/#', 'config/global/#'],
  };
  expect(topicsFor(role, pump)).toEqual({
    publish: ['sites/north/devices/pump-1'],
    subscribe: ['config/global/#'],
  });
});
