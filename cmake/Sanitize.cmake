if(GW_SANITIZE)
    add_compile_options(-fsanitize=${GW_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=${GW_SANITIZE})
endif()
if(GW_FUZZ)
    # The rooms report their coverage; the engine itself is linked by gw_fuzz_target alone.
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
