import { readFileSync, writeFileSync } from 'node:fs';
import { stateDiagram } from './orders/domain/state-diagram.ts';

/** `npm run diagrams`: writes the diagram of the state machine into the README of `orders`. */
const file = 'services/orders/README.md';
const text = readFileSync(file, 'utf8');
const diagram = `\`\`\`mermaid\n${stateDiagram()}\`\`\``;
writeFileSync(
  file,
  text.replace(/```mermaid\n[\s\S]*?```/, () => diagram),
);
