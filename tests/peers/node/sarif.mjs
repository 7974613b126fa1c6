// Holds SARIF logs against the schema of SARIF 2.1.0 that Microsoft ships for it. Prints what is wrong, as JSON.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(import.meta.url);
const Ajv = require("ajv");
const schema = require("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json");

const ajv = new Ajv({ schemaId: "auto", allErrors: true, unknownFormats: [] });
ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-04.json"));
const validate = ajv.compile(schema);

const wrong = process.argv.slice(2).flatMap((path) => {
  validate(JSON.parse(readFileSync(path, "utf8")));
  return (validate.errors ?? []).map((error) => `${path}: ${error.dataPath} ${error.message}`);
});
console.log(JSON.stringify(wrong));
