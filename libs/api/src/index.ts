export * from './endpoints.ts';
export * from './problem.ts';
export * from './routes/index.ts';
export * from './schemas/index.ts';
