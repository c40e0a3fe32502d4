// The repository contract on the store in memory, which the tests of other rooms stand on.
import { describe } from 'vitest';
import { describeCommits } from './contract/describe-commits.ts';
import { describeEndings } from './contract/describe-endings.ts';
import { describeEntries } from './contract/describe-entries.ts';
import { describeLeases } from './contract/describe-leases.ts';
import { describeLists } from './contract/describe-lists.ts';
import { describePresence } from './contract/describe-presence.ts';
import { describeWrites } from './contract/describe-writes.ts';
import { createMemoryEngine } from './memory/memory-engine.ts';

describe.each([
  ['commits', describeCommits],
  ['writes', describeWrites],
  ['lists', describeLists],
  ['endings', describeEndings],
  ['presence', describePresence],
  ['leases', describeLeases],
  ['the entry that a row stands on', describeEntries],
])('in memory: %s', (_what, describeContract) => describeContract(createMemoryEngine));
