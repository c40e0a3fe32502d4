import { describe, expect, it } from 'vitest';
import { decideClientId, type ClientIdQuestion } from '../src/client-id.ts';

const ask = (requested: string, more: Partial<ClientIdQuestion> = {}): string => {
  const answer = decideClientId({
    name: 'pump-1',
    requested,
    isAdmin: false,
    bound: undefined,
    isIdentity: () => false,
    ...more,
  });
  return 'problem' in answer ? `refused: ${answer.problem}` : answer.clientId;
};

describe('the client ids of an identity', () => {
  it('are its CN and its CN with a suffix', () => {
    expect(ask('pump-1')).toBe('pump-1');
    expect(ask('pump-1:console')).toBe('pump-1:console');
  });

  it('are chosen by the broker when the client leaves them out, and begin with the CN', () => {
    expect(ask('')).toMatch(/^pump-1:[\w-]{12}$/);
    expect(ask('')).not.toBe(ask(''));
  });

  it.each(['pump-2', 'pump-10', 'pump', 'pump-1.console', ':pump-1'])(
    'do not include %s',
    (requested) => {
      expect(ask(requested)).toBe(`refused: "pump-1" asked for the client id "${requested}".`);
    },
  );

  it.each(['pump-1:a/b', 'pump-1:+', 'pump-1:#', 'pump-1:\n'])(
    'hold no character with a meaning in topics: %j',
    (requested) => {
      expect(ask(requested)).toMatch(/^refused: .*control character/);
    },
  );

  it('end where another identity begins, whose name starts with theirs', () => {
    const isIdentity = (name: string): boolean => name === 'pump-1:valve';
    expect(ask('pump-1:valve', { isIdentity })).toMatch(/^refused: .*belongs to "pump-1:valve"/);
    expect(ask('pump-1:valve:2', { isIdentity })).toMatch(/^refused: .*belongs to "pump-1:valve"/);
    expect(ask('pump-1:valves', { isIdentity })).toBe('pump-1:valves');
    expect(ask('pump-1:valve:2', { isIdentity, name: 'pump-1:valve' })).toBe('pump-1:valve:2');
  });

  it('are the bound one alone when dynsec binds one', () => {
    expect(ask('fixed', { bound: 'fixed' })).toBe('fixed');
    expect(ask('', { bound: 'fixed' })).toBe('fixed');
    expect(ask('pump-1', { bound: 'fixed' })).toMatch(/^refused: "pump-1" is bound to/);
  });

  it('may be anything that begins with the name of an administrative identity', () => {
    expect(ask('pump-1-follower-3', { isAdmin: true })).toBe('pump-1-follower-3');
    expect(ask('other', { isAdmin: true })).toMatch(/^refused/);
  });
});
