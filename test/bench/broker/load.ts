// A load process, from its parent's side.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { LoadAnswer, LoadCalls } from './load-calls.ts';

export interface Load {
  /** @throws {Error} what went wrong there */
  call<Name extends keyof LoadCalls>(
    name: Name,
    asked: LoadCalls[Name]['asked'],
  ): Promise<LoadCalls[Name]['answer']>;
  stop(): void;
}

export function startLoad(): Load {
  const child = fork(join(import.meta.dirname, 'load-process.ts'), {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const open = new Map<number, (answer: LoadAnswer) => void>();
  let next = 0;
  child.on('message', (answer: LoadAnswer) => {
    open.get(answer.id)?.(answer);
    open.delete(answer.id);
  });
  child.on('exit', (code) => {
    for (const [id, settle] of open) settle({ id, error: `ended with ${code ?? 'a signal'}` });
  });
  return {
    call(name, asked) {
      const id = next++;
      return new Promise((resolve, reject) => {
        open.set(id, ({ answer, error }) => {
          if (error === undefined) resolve(answer as never);
          else reject(new Error(`load process, ${name}: ${error}`));
        });
        child.send({ id, name, asked });
      });
    },
    stop: () => void child.kill(),
  };
}
