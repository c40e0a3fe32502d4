import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { outliveReaders } from '../src/index.ts';

function outputs(isTTY: boolean) {
  const process = {
    stdout: Object.assign(new EventEmitter(), { isTTY }),
    stderr: Object.assign(new EventEmitter(), { isTTY }),
  };
  outliveReaders(process);
  const fail = (which: 'stdout' | 'stderr', code: string) => () =>
    process[which].emit('error', Object.assign(new Error(code), { code }));
  return fail;
}

describe('outliveReaders', () => {
  it('takes a reader that went away as the end of the output', () => {
    expect(outputs(false)('stdout', 'EPIPE')).not.toThrow();
    expect(outputs(true)('stdout', 'EIO')).not.toThrow();
  });

  it('still throws when stdout can not be written', () => {
    expect(outputs(false)('stdout', 'ENOSPC')).toThrow('ENOSPC');
    expect(outputs(true)('stdout', 'ENOSPC')).toThrow('ENOSPC');
    expect(outputs(false)('stdout', 'EIO')).toThrow('EIO');
  });

  it('never ends a process because of stderr', () => {
    for (const code of ['EPIPE', 'EIO', 'ENOSPC']) {
      expect(outputs(false)('stderr', code)).not.toThrow();
    }
  });
});
