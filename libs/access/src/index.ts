export * from './role.ts';
export * from './topic-filter.ts';
