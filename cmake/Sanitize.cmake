if(GW_SANITIZE)
    # Reports want functions and lines, which is what -g1 has; all of -g makes the build a sixth longer.
    add_compile_options(-fsanitize=${GW_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
    add_link_options(-fsanitize=${GW_SANITIZE})
endif()
if(GW_FUZZ)
    # The rooms report their coverage; the engine itself is linked by gw_fuzz_target alone.
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(GW_COVERAGE)
    add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
    add_link_options(-fprofile-instr-generate)
endif()
