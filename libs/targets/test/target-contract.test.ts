import { createDynsecWorld } from './contract/dynsec-world.ts';
import { describeTarget } from './contract/describe-target.ts';
import { createMemoryWorld } from './contract/memory-target.ts';

describeTarget('dynsec, on the state machine of the embedded broker', createDynsecWorld);
describeTarget('memory', () => createMemoryWorld({ refusesSerials: true, deniesUnknown: true }));
describeTarget('memory, which knows neither serials nor how to deny whom it does not know', () =>
  createMemoryWorld({ refusesSerials: false, deniesUnknown: false }),
);
