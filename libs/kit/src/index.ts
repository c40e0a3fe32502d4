// The connect kit: what a program needs to connect as an identity, with settings for the clients that people use. Bytes only: reading and
// writing files is for others.
export { createBrokerFile, type KitFacts } from './kit-facts.ts';
export { createKit } from './create-kit.ts';
export { createZip } from './create-zip.ts';
