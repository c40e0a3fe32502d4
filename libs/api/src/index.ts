export * from './endpoints.ts';
export * from './problem.ts';
export * from './routes.ts';
export * from './schemas/index.ts';
