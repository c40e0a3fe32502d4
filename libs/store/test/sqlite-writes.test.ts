// The repository contract on SQLite: writes.
import { describe } from 'vitest';
import { describeWrites } from './contract/describe-writes.ts';
import { createSqliteEngine } from './sqlite-engine.ts';

describe('writes on SQLite', () => describeWrites(createSqliteEngine));
