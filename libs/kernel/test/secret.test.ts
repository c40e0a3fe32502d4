import { format, inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { KeylineError, Secret, messageOf } from '../src/index.ts';

const value = 'correct horse battery staple';
const secret = new Secret(value);

describe('a secret', () => {
  it('is given to who asks for it', () => {
    expect(secret.reveal()).toBe(value);
  });

  it.each<[string, () => string]>([
    // eslint-disable-next-line @typescript-eslint/restrict-template-expressions -- the accident this guards against
    ['a template', () => `${secret}`],
    ['joining', () => [secret].join()],
    ['JSON', () => JSON.stringify({ deep: [secret] })],
    ['inspect', () => inspect({ deep: { secret } }, { depth: 9, showHidden: true })],
    ['inspect without custom', () => inspect(secret, { customInspect: false, showHidden: true })],
    ['a log line', () => format('%s %o %j %O', secret, secret, secret, secret)],
    ['its keys', () => JSON.stringify([Object.entries(secret), Object.assign({}, secret)])],
    ['an error', () => inspect(new KeylineError('INTERNAL', String(secret), { cause: secret }))],
    ['a message', () => messageOf(secret)],
  ])('is not printed by %s', (_way, print) => {
    expect(print()).not.toContain('horse');
  });
});

describe('a Keyline error', () => {
  it('says its code and detail, keeps its cause, and has no cause when none was given', () => {
    const cause = new Error('disk');
    const error = new KeylineError('INTERNAL', 'It broke.', { cause, context: { n: 1 } });
    expect(error.message).toBe('INTERNAL: It broke.');
    expect(error.cause).toBe(cause);
    expect(error.context).toEqual({ n: 1 });
    expect('cause' in new KeylineError('INTERNAL', 'x')).toBe(false);
  });
});
