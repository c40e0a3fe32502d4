import { createDynsecSurroundings } from './contract/dynsec-surroundings.ts';
import { describeTarget } from './contract/describe-target.ts';
import { createMemorySurroundings } from './contract/memory-target.ts';

describeTarget('dynsec, on the state machine of the embedded broker', createDynsecSurroundings);
describeTarget('memory', () =>
  createMemorySurroundings({ refusesSerials: true, fillsNames: true, deniesUnknown: true }),
);
describeTarget('memory, which knows neither serials nor how to deny whom it does not know', () =>
  createMemorySurroundings({ refusesSerials: false, fillsNames: false, deniesUnknown: false }),
);
