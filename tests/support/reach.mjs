// reach.mjs ADDRESS PORT...: prints which of these ports take a connection, and what they answer to GET /healthz.
// Plain JavaScript, since it runs in another network namespace.
import { connect } from 'node:net';

const [address, ...ports] = process.argv.slice(2);

/** What comes back; undefined where nobody takes the connection. */
function answerOf(port) {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: Number(port) });
    let answer;
    const end = () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2_000, end);
    socket.once('connect', () => {
      answer = '';
      socket.write('GET /healthz HTTP/1.0\r\n\r\n');
    });
    socket.on('data', (data) => (answer += data));
    socket.once('error', end);
    socket.once('close', end);
  });
}

const reached = await Promise.all(ports.map(async (port) => [port, await answerOf(port)]));
const open = reached.filter(([, answer]) => answer !== undefined);
console.log(
  JSON.stringify(Object.fromEntries(open.map(([port, answer]) => [port, answer.split('\r\n\r\n')[1]]))),
);
