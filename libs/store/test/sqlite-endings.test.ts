// The repository contract on SQLite: endings.
import { describe } from 'vitest';
import { describeEndings } from './contract/describe-endings.ts';
import { createSqliteEngine } from './sqlite-engine.ts';

describe('endings on SQLite', () => describeEndings(createSqliteEngine));
