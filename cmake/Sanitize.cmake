if(GW_SANITIZE)
    add_compile_options(-fsanitize=${GW_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=${GW_SANITIZE})
endif()
