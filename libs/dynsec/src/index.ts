// The dynamic-security protocol of Mosquitto: the engine a broker answers with, and the client an admin asks with.
export * from './client.ts';
export * from './engine.ts';
export * from './session.ts';
