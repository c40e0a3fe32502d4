// The repository contract on SQLite: leases.
import { describe } from 'vitest';
import { describeLeases } from './contract/describe-leases.ts';
import { createSqliteEngine } from './sqlite-engine.ts';

describe('leases on SQLite', () => describeLeases(createSqliteEngine));
