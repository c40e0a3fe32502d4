// A step of the start that needs the issuing CA, while that may be on its way back.
import { setTimeout as sleep } from 'node:timers/promises';
import { isKeylineError } from '@keyline/kernel';

const patience = 60_000;
const pause = 500;

/** @throws what the step did, when it was not that the service did not answer, or when it does not come back within a minute */
export async function whileRestarting<Result>(
  step: () => Promise<Result>,
  { signal, say }: { readonly signal: AbortSignal; readonly say: (text: string) => void },
): Promise<Result> {
  const deadline = performance.now() + patience;
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await step();
    } catch (error) {
      const isAway = isKeylineError(error) && error.code === 'SERVICE_UNREACHABLE';
      if (!isAway || signal.aborted || performance.now() > deadline) throw error;
      if (isFirst) say(`${error.detail} Waiting for it to come back.`);
      await sleep(pause, undefined, { signal });
    }
  }
}
